import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import '../../support/kernel/lab/inside.js';
import { PCI, bindVpVdpa } from '../../support/kernel/drivers/vp-vdpa.js';
import { vdpa } from '../../support/command-line.js';

test('there are two processors, huge pages and disks that take time', () => {
  assert.equal(availableParallelism(), 2);
  assert.match(readFileSync('/proc/self/mounts', 'utf8'), /^hugetlbfs \/dev\/hugepages /m);
  for (const disk of ['nullb0', 'sda', 'nbd0']) assert.ok(existsSync(`/sys/block/${disk}`), disk);
});

test('no PCI device has a driver before it is bound', () => {
  for (const address of Object.values(PCI)) {
    assert.ok(existsSync(`/sys/bus/pci/devices/${address}`), address);
    assert.equal(existsSync(`/sys/bus/pci/devices/${address}/driver`), false, address);
  }
});

test('each PCI device is a management device once it is bound to vp_vdpa', async () => {
  const handles = Object.values(PCI).map((address) => `pci/${address}`);
  assert.deepEqual(bindVpVdpa(), handles);
  const { stdout } = await vdpa('-j mgmtdev show');
  const shown = (JSON.parse(stdout) as { mgmtdev: Record<string, unknown> }).mgmtdev;
  assert.deepEqual(
    handles.filter((handle) => !(handle in shown)),
    [],
  );
});

test('packets go from one network device to the other, and a disk keeps what is written', async () => {
  for (const [name, address] of [
    ['net7', PCI.net],
    ['net8', PCI.netWithMtu],
    ['disk6', PCI.block],
  ] as const) {
    assert.equal((await vdpa(`dev add mgmtdev pci/${address} name ${name}`)).status, 0);
  }
  const interfaces = readdirSync('/sys/class/net').filter((name) => name.startsWith('eth'));
  assert.equal(interfaces.length, 2);
  const script = `
    set -e
    ip addr add 10.0.0.1/24 dev "$1"
    ip link set "$1" up
    unshare -n sleep 1000 &
    until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done
    ip link set "$2" netns $!
    nsenter -t $! -n sh -ec 'ip addr add 10.0.0.2/24 dev "$0"; ip link set "$0" up' "$2"
    ping -c 3 -i 0.2 -w 60 10.0.0.2
    kill $!
    echo content | dd of=/dev/vda bs=512 count=1 conv=sync oflag=direct 2>/dev/null
    dd if=/dev/vda bs=512 count=1 iflag=direct 2>/dev/null | head -c 7`;
  const output = execFileSync('sh', ['-c', script, 'sh', ...interfaces], { encoding: 'utf8' });
  assert.match(output, / 3 received/);
  assert.match(output, /content$/);
});

test('memory of a program is on huge pages once there are some', () => {
  writeFileSync('/proc/sys/vm/nr_hugepages', '4');
  const pages = (): string => /^HugePages_Free:\s*(\d+)$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? '';
  assert.equal(pages(), '4');
  const file = '/dev/hugepages/two';
  execFileSync('fallocate', ['-l', String(2 * 2 ** 21), file]);
  assert.equal(pages(), '2');
  rmSync(file);
  assert.equal(pages(), '4');
  writeFileSync('/proc/sys/vm/nr_hugepages', '0');
});

test('packets go through a pair of veth and a bridge, and into a tap', () => {
  const script = `
    set -e
    ip link add br0 type bridge
    ip link add near type veth peer name far
    ip tuntap add dev tap0 mode tap
    ip link set near master br0
    ip link set tap0 master br0
    unshare -n sleep 1000 &
    until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done
    ip link set far netns $!
    nsenter -t $! -n sh -ec 'ip addr add 10.0.1.2/24 dev far; ip link set far up'
    ip addr add 10.0.1.1/24 dev br0
    for link in br0 near tap0; do ip link set $link up; done
    ping -c 3 -i 0.2 -w 60 10.0.1.2
    bridge link show
    kill $!
    ip link del br0
    ip tuntap del dev tap0 mode tap`;
  const output = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
  assert.match(output, / 3 received/);
  for (const name of ['near', 'tap0']) assert.match(output, new RegExp(` ${name}(@\\S+)?: .* master br0 `));
});
