#!/bin/sh
# The first process of the guest, and its whole life: set the machine up, run one command, power off.
#
# The kernel's command line sets LAB_MACHINE, LAB_BUSYBOX, LAB_RUN, the shared folder of the host, and LAB_IDLE_PCI, the PCI
# devices to leave without a driver; the file `session` in the shared folder sets the rest, and `command` is what to run. Every
# tool is called by its full path: until the guest has its own /proc, /proc/self/exe is the kernel's program on the host, and a
# busybox that calls its own applets would start that.

box=$LAB_BUSYBOX
machine=$LAB_MACHINE
shared=$LAB_RUN
idle=$LAB_IDLE_PCI
unset LAB_BUSYBOX LAB_MACHINE LAB_RUN LAB_IDLE_PCI

"$box" mount -t proc proc /proc
"$box" mount -t tmpfs -o mode=755 tmpfs /run
"$box" mkdir /run/lab /run/host /run/bin /run/lock /dev/pts /dev/shm
# Tells tests that they run inside, and on which machine.
echo "$machine" >/run/lab-machine
# Without a cache: the host sees each write immediately, and nothing is lost when the guest dies.
case $machine in
  uml) "$box" mount -t hostfs -o sync none /run/lab -o "$shared" ;;
  qemu | debian) "$box" mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=512000 lab /run/lab ;;
esac
# A guest that reboots starts here a second time: its session is over.
if ! "$box" mkdir /run/lab/started; then "$box" poweroff -f; fi
# shellcheck source=/dev/null
. /run/lab/session

# The root file system is the host's, read-only; these cover the folders that programs write to.
"$box" mount --bind / /run/host
"$box" mount -a -T "$LAB_CHECKOUT/lab/fstab"
"$box" mkdir /tmp/home
# What the command needs from the host, and the lines above have hidden.
while read -r hidden; do
  "$box" mkdir -p "$hidden"
  "$box" mount --bind "/run/host$hidden" "$hidden"
done </run/lab/hidden
"$box" umount /run/host
"$box" rmdir /run/host

for stream in 0:stdin 1:stdout 2:stderr; do
  "$box" ln -s "/proc/self/fd/${stream%:*}" "/dev/${stream#*:}"
done
"$box" ln -s /proc/self/fd /dev/fd
"$box" ln -s "$LAB_NODE" /run/bin/node
"$box" ln -s "$LAB_PROGRAM" /run/bin/vdpa
if [ -n "$LAB_REFERENCE" ]; then "$box" ln -s "$LAB_REFERENCE" /run/bin/vdpa-iproute2; fi
if [ -n "$LAB_LIBBLKIO" ]; then
  "$box" mkdir /run/lib
  "$box" ln -s "$LAB_LIBBLKIO" /run/lib/libblkio.so.1
fi
if [ -n "$LAB_QEMU" ]; then
  # For virtual machines inside this one.
  printf '#!/bin/sh\nexec %s "$@"\n' "$LAB_QEMU" >/run/bin/qemu-system-x86_64
  "$box" chmod +x /run/bin/qemu-system-x86_64
fi
if [ "$machine" = uml ] && [ -n "$LAB_NODE_RING" ] && [ -e /proc/sys/kernel/io_uring_disabled ]; then
  # A kernel without the lab's corrections maps wrong pages into the children of a process with an io_uring, and panics.
  read -r release </proc/sys/kernel/osrelease
  case $release in *-lab) ;; *) echo 2 >/proc/sys/kernel/io_uring_disabled ;; esac
fi
"$box" hostname lab
if [ "$machine" != uml ]; then
  "$box" ln -s "$LAB_CHECKOUT/lab/bind-vp-vdpa" /run/bin/bind-vp-vdpa
  "$box" mkdir -p /dev/hugepages
  "$box" mount -t hugetlbfs hugetlbfs /dev/hugepages
  # They are for vp_vdpa; the kernel has bound them to virtio_blk and virtio_net.
  IFS=,
  for device in $idle; do echo "$device" >/sys/bus/pci/drivers/virtio-pci/unbind; done
  unset IFS
fi
"$box" ip link set lo up

if [ -n "$LAB_TERMINAL" ]; then
  case $machine in uml) terminal=/dev/tty0 ;; qemu | debian) terminal=/dev/ttyS0 ;; esac
  if [ -e /run/lab/window ]; then
    set_size() { "$box" stty -F $terminal rows "$1" cols "$2"; }
    exec 3</run/lab/window
    read -r rows columns <&3
    set_size "$rows" "$columns"
    # Each change adds a line.
    while :; do
      if read -r rows columns <&3; then set_size "$rows" "$columns"; else "$box" sleep 1; fi
    done &
    exec 3<&-
  fi
  "$box" setsid -c /bin/sh /run/lab/command <$terminal >$terminal 2>&1
else
  "$box" setsid /bin/sh /run/lab/command </run/lab/stdin >/run/lab/stdout 2>/run/lab/stderr
fi
echo $? >/run/lab/status
echo 0 >/proc/sys/kernel/printk # no "Power down" on a person's terminal
"$box" poweroff -f
