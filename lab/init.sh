#!/bin/sh
# The first process of the guest, and its whole life: set the machine up, run one command, power off.
#
# The kernel's command line gives LAB_BUSYBOX and LAB_RUN, the host's folder to share; the file `session` there gives
# the rest, and `command` what to run. Every tool is called by its full path: until the guest has a /proc of its own,
# /proc/self/exe is the kernel's program on the host, and a busybox that calls its own applets would start that.

box=$LAB_BUSYBOX
shared=$LAB_RUN
unset LAB_BUSYBOX LAB_RUN

"$box" mount -t proc proc /proc
"$box" mount -t tmpfs -o mode=755 tmpfs /run
"$box" mkdir /run/lab /run/bin /run/lock /dev/pts /dev/shm
# Synchronous: the host sees each write at once, and nothing is lost when the guest dies.
"$box" mount -t hostfs -o sync none /run/lab -o "$shared"
# A guest that reboots starts here a second time: its session is over.
if ! "$box" mkdir /run/lab/started; then "$box" poweroff -f; fi
# shellcheck source=/dev/null
. /run/lab/session

# The root file system is the host's, read-only; these lie over what programs write.
"$box" mount -a -T "$LAB_CHECKOUT/lab/fstab"
"$box" mkdir /tmp/home
# What the command needs of the host, and the lines above have hidden.
while read -r hidden; do
  "$box" mkdir -p "$hidden"
  "$box" mount -t hostfs -o ro none "$hidden" -o "$hidden"
done </run/lab/hidden

for stream in 0:stdin 1:stdout 2:stderr; do
  "$box" ln -s "/proc/self/fd/${stream%:*}" "/dev/${stream#*:}"
done
"$box" ln -s /proc/self/fd /dev/fd
"$box" ln -s "$LAB_NODE" /run/bin/node
"$box" ln -s "$LAB_CHECKOUT/bin/vdpa.js" /run/bin/vdpa
if [ -n "$LAB_REFERENCE" ]; then "$box" ln -s "$LAB_REFERENCE" /run/bin/vdpa-iproute2; fi
"$box" hostname lab
"$box" ip link set lo up

if [ -n "$LAB_TERMINAL" ]; then
  "$box" setsid -c /bin/sh /run/lab/command </dev/tty0 >/dev/tty0 2>&1
else
  "$box" setsid /bin/sh /run/lab/command </run/lab/stdin >/run/lab/stdout 2>/run/lab/stderr
fi
echo $? >/run/lab/status
echo 0 >/proc/sys/kernel/printk # no "Power down" on a person's terminal
"$box" poweroff -f
