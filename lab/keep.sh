#!/bin/sh
# keep.sh FOLDER COMMAND...
#
# Runs a guest, and ensures that nothing of it remains: when the guest has ended, or when this script gets a signal
# (its parent's death sends one), the guest is killed and its folder removed.
folder=$1
shift
guest=

end() {
  if [ -n "$guest" ]; then
    kill -KILL "$guest" 2>/dev/null
    wait "$guest" 2>/dev/null # The shell would say "Killed".
  fi
  rm -rf -- "$folder"
  exit "$1"
}
trap 'end 143' TERM
trap 'end 129' HUP
trap 'end 130' INT

# A background command reads /dev/null unless redirected.
exec 3<&0
"$@" <&3 3<&- &
guest=$!
wait "$guest" 2>/dev/null # Nor "Aborted", when the kernel panics.
status=$?
guest=
end "$status"
