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

  # And it replaces only what stands behind the last of them.
  local current=${words[-1]} kept=
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then kept=${current%"${current##*:}"}; fi

  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    printf -v word %q "${word#"$kept"}"
    COMPREPLY+=("$word")
  done < <("$1" __complete "${words[@]:1}" 2>/dev/null)
  # A folder is not the end of a word.
  if [[ ${COMPREPLY[0]-} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}

complete -F _vdpa vdpa
