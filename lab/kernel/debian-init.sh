#!/busybox sh
# The first process of a guest with Debian's kernel, from its initramfs: loads what the root file system needs, mounts a tmpfs
# over the host's files, puts the kernel's modules where modprobe(8) looks for them, and continues with lab/init.sh.
#
# The kernel's command line sets LAB_INIT, and LAB_MODULES, the host's folder of the modules.

box=/busybox
# switch_root and the next init get the environment of this one.
next=$LAB_INIT
modules=$LAB_MODULES
unset LAB_INIT LAB_MODULES

"$box" mkdir -p /dev /proc /host /over /root
"$box" mount -t proc proc /proc
"$box" mount -t devtmpfs dev /dev
for module in /modules/*; do "$box" insmod "$module"; done
"$box" mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 root /host
"$box" mount -t tmpfs -o mode=755 tmpfs /over
"$box" mkdir /over/upper /over/work
"$box" mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work root /root
"$box" mkdir -p /root/lib/modules
"$box" mount --bind "/host$modules" /root/lib/modules
"$box" umount /proc
"$box" mount --move /dev /root/dev
exec "$box" switch_root /root "$next"
