# bash completion of vdpa: the program itself returns the candidates.

_vdpa() {
  # Readline splits words at ":" and "=": join the pieces without blanks between them.
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

  # And it replaces only the last piece, which is empty if the word ends with such a character.
  local piece=${COMP_WORDS[COMP_CWORD]} kept=
  if [[ $piece == [:=] ]]; then piece=; fi
  kept=${words[-1]%"${piece//[\\\'\"]/}"}

  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    word=${word#"$kept"}
    # Quote it for the line: after the quote that was typed, or with backslashes.
    case $piece in
      \'*\'* | \"*\"*) printf -v word %q "$word" ;;
      \'*) word=${word//\'/\'\\\'\'} ;;
      \"*)
        word=${word//\\/\\\\}
        word=${word//\"/\\\"}
        word=${word//\$/\\\$}
        word=${word//\`/\\\`}
        ;;
      # The shell expands a "~" at the start of a word.
      \~*) printf -v word '~%q' "${word#\~}" ;;
      *) printf -v word %q "$word" ;;
    esac
    COMPREPLY+=("$word")
  done < <("$1" __complete "${words[@]:1}" 2>/dev/null)
  # After a folder, the word continues.
  if [[ ${COMPREPLY[0]-} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}

complete -F _vdpa vdpa
