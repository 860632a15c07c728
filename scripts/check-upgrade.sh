#!/bin/sh
# check-upgrade.sh ROOT: upgrades the Debian package in a root, from its /tmp/vdpa.deb, while a VDUSE disk of it is written to.
# npm run check:packages runs this in the lab. ROOT stays as it is.
set -eu
lower=$1
here=/run/check
mkdir $here
mount -t tmpfs tmpfs $here
mkdir $here/upper $here/work $here/root
mount -t overlay -o "lowerdir=$lower,upperdir=$here/upper,workdir=$here/work" overlay $here/root
for folder in proc sys dev; do mount --rbind /$folder $here/root/$folder; done
mount -t tmpfs tmpfs $here/root/run

cat >$here/root/tmp/inside.sh <<'END'
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

# field NAME: a number of the server's status
field() {
  vdpa vduse show disk0 | sed -n "s/.* $1 \([0-9]*\).*/\1/p"
}

# Writes and reads until /tmp/stop exists; prints how often.
work() {
  rounds=0
  while [ ! -e /tmp/stop ]; do
    dd if=/tmp/pattern of="$1" bs=64k oflag=direct status=none
    dd if="$1" bs=64k count=128 iflag=direct status=none | cmp - /tmp/pattern
    rounds=$((rounds + 1))
  done
  echo $rounds >/tmp/rounds
}

head -c 8388608 /dev/urandom >/tmp/pattern
vdpa dev add name disk0 mgmtdev vduse path /tmp/disk.img size 8M restart on
until [ -b /dev/vda ]; do sleep 0.1; done
before=$(field pid)
supervisor=$(field supervisor)
work /dev/vda &
sleep 2
dpkg -i /tmp/vdpa.deb
until after=$(field pid) && [ -n "$after" ] && [ "$after" != "$before" ]; do sleep 0.1; done
sleep 2
touch /tmp/stop
wait $!
echo "$(cat /tmp/rounds) rounds without an error, server $before, then $after"
test "$(field supervisor)" = "$supervisor"
test "$(stat -L -c %i /proc/"$after"/exe)" = "$(stat -c %i /usr/lib/vdpa/vdpa)"
vdpa dev del disk0
END
chroot $here/root sh /tmp/inside.sh
dmesg | grep -i 'I/O error' && exit 1
exit 0
