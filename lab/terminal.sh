#!/bin/sh
# terminal.sh FOLDER COMMAND...
#
# Runs a guest whose machine does not know the terminal's size: writes it as a line to FOLDER/window, immediately and after each
# change. The file is opened before the guest starts, which could replace it with a link.
folder=$1
shift
exec 3<&0 4>>"$folder/window"
stty size <&3 >&4
stty -onlcr <&3 # The guest's own terminal inserts the carriage returns.
trap 'stty size <&3 >&4' WINCH
"$@" <&3 3<&- 4>&- &
guest=$!
# A signal ends the wait, not the guest.
while
  wait "$guest"
  status=$?
  kill -0 "$guest" 2>/dev/null
do :; done
exit "$status"
