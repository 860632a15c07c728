# fish completion of vdpa: the program itself returns the candidates.

function __vdpa_candidates
    set -l words (commandline -opc) (commandline -ct | string trim --left --chars '\'"' | string unescape)
    $words[1] __complete $words[2..-1] 2>/dev/null
end

complete -c vdpa -f -a '(__vdpa_candidates)'
