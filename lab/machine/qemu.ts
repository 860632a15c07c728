import { requireCommand } from '../host.js';
import type { DebianKernel } from '../kernel/debian.js';
import { pciDevices } from './pci-devices.js';
import { quoteForOption } from './qemu-option.js';
import type { PreparedMachine, Start } from './start.js';

/** A whole x86-64 machine that QEMU emulates, without KVM: several processors, PCI, an IOMMU. */
export interface QemuMachine {
  readonly kind: 'qemu';
  /** The kernel, an ELF file that QEMU starts by its PVH entry. */
  readonly kernel: string;
  readonly qemu: Qemu;
}

/** The same machine with a kernel of Debian's, whose drivers are modules. */
export interface DebianMachine extends DebianKernel {
  readonly kind: 'debian';
  readonly qemu: Qemu;
}

/** A QEMU of the host, or one in the cache. */
export interface Qemu {
  /** The program, before its arguments. */
  readonly program: readonly [string, ...string[]];
  /** Where its files are, for one in the cache. */
  readonly folder?: string;
  readonly version: string;
}

const DEFAULT_PROCESSORS = 2;

/** Of messages between the guest and the host's files, in bytes. */
const MESSAGE_SIZE = 512_000;

export async function prepareQemu(machine: QemuMachine | DebianMachine, start: Start): Promise<PreparedMachine> {
  const { kernel, qemu } = machine;
  const root = rootOf(machine, start);
  const devices = await pciDevices(start);
  const words = [
    ...['console=ttyS0', 'panic=-1', 'tsc=reliable', 'no_timer_check', 'nokaslr'],
    ...root.words,
    ...start.kernelWords,
    `LAB_IDLE_PCI=${devices.addresses.join(',')}`,
  ];
  const command = [
    ...qemu.program,
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    // What the guest makes QEMU do, should it take it over, is to read files and write to the shared folder.
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...[
      '-machine',
      'q35,usb=off,vmport=off,memory-backend=memory',
      '-cpu',
      'max',
      '-accel',
      'tcg,thread=multi,tb-size=512',
    ],
    ...['-smp', String(start.processors ?? DEFAULT_PROCESSORS), '-m', String(start.memoryMiB)],
    // vhost-user wants memory that could be shared.
    ...['-object', `memory-backend-memfd,id=memory,size=${start.memoryMiB}M,share=on`],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...share('root', '/', 'readonly=on,multidevs=remap'),
    ...share('lab', start.folder, 'readonly=off'),
    ...devices.options,
    ...['-kernel', kernel, ...root.options, '-append', words.join(' ')],
  ];
  return { command, followsTerminal: false, release: devices.release };
}

/** How the host's files become the root: by the kernel itself, or by an initramfs that loads modules first. */
function rootOf(
  machine: QemuMachine | DebianMachine,
  { init }: Start,
): { readonly words: readonly string[]; readonly options: readonly string[] } {
  if (machine.kind === 'debian') {
    const words = ['rdinit=/init', `LAB_INIT=${init}`, `LAB_MODULES=${machine.modules}`];
    return { words, options: ['-initrd', machine.initramfs] };
  }
  const flags = `trans=virtio,version=9p2000.L,cache=loose,msize=${MESSAGE_SIZE}`;
  return { words: ['rootfstype=9p', 'root=root', `rootflags=${flags}`, `init=${init}`], options: [] };
}

/** A folder of the host that the guest mounts by its tag. */
function share(tag: string, path: string, options: string): string[] {
  return [
    ...['-fsdev', `local,id=${tag},path=${quoteForOption(path)},security_model=none,${options}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag},disable-legacy=on`],
  ];
}

/** How an unpacked QEMU is started: with libraries and firmware of its own. */
export const unpackedProgram = (folder: string): readonly [string, ...string[]] => [
  requireCommand('env', 'coreutils'),
  `LD_LIBRARY_PATH=${folder}/usr/lib/x86_64-linux-gnu`,
  `${folder}/usr/bin/qemu-system-x86_64`,
  ...['-L', `${folder}/usr/share/seabios`, '-L', `${folder}/usr/share/qemu`],
];
