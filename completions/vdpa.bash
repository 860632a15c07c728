# bash completion of vdpa: the program itself says what a word can be.

_vdpa() {
  # Readline takes words apart at ":" and "=": what has no blank between belongs together.
  local words=() word rest=$COMP_LINE i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $i == 0 || $rest == [[:space:]]* ]]; then
      words+=("${word//[\\\'\"]/}")
    else
      words[-1]+=${word//[\\\'\"]/}
    fi
    rest=${rest#"${rest%%[![:space:]]*}"}
    rest=${rest#"$word"}
  done

  # And it replaces only the last piece: nothing yet, where that is what it took the word apart at.
  local piece=${COMP_WORDS[COMP_CWORD]} kept=
  if [[ $piece == [:=] ]]; then piece=; fi
  kept=${words[-1]%"${piece//[\\\'\"]/}"}

  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    word=${word#"$kept"}
    # As it has to stand on the line: behind the quote that was typed, or with backslashes.
    case $piece in
      \'*\'* | \"*\"*) printf -v word %q "$word" ;;
      \'*) word=${word//\'/\'\\\'\'} ;;
      \"*)
        word=${word//\\/\\\\}
        word=${word//\"/\\\"}
        word=${word//\$/\\\$}
        word=${word//\`/\\\`}
        ;;
      # The shell knows what a "~" means that begins a word.
      \~*) printf -v word '~%q' "${word#\~}" ;;
      *) printf -v word %q "$word" ;;
    esac
    COMPREPLY+=("$word")
  done < <("$1" __complete "${words[@]:1}" 2>/dev/null)
  # A folder is not the end of a word.
  if [[ ${COMPREPLY[0]-} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}

complete -F _vdpa vdpa
