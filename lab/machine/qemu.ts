import { requireCommand } from '../host.js';
import type { DebianKernel } from '../kernel/debian.js';
import { pciDevices } from './pci-devices.js';
import { quoteForOption } from './qemu-option.js';
import type { PreparedMachine, Start } from './start.js';

/** A complete x86-64 machine emulated by QEMU, without KVM: several processors, PCI, an IOMMU. */
export interface QemuMachine {
  readonly kind: 'qemu';
  /** The kernel, an ELF file that QEMU starts at its PVH entry point. */
  readonly kernel: string;
  readonly qemu: Qemu;
}

/** The same machine with a Debian kernel, whose drivers are modules. */
export interface DebianMachine extends DebianKernel {
  readonly kind: 'debian';
  readonly qemu: Qemu;
}

/** A QEMU on the host, or one in the cache. */
export interface Qemu {
  /** The program, without its arguments. */
  readonly program: readonly [string, ...string[]];
  /** The folder of its files, for one in the cache. */
  readonly folder?: string;
  readonly version: string;
}

const DEFAULT_PROCESSORS = 2;

/** The 9p message size, in bytes. */
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
    // A guest that takes over QEMU can only read files and write to the shared folder.
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
    // vhost-user requires shareable memory.
    ...['-object', `memory-backend-memfd,id=memory,size=${start.memoryMiB}M,share=on`],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...share('root', '/', 'readonly=on,multidevs=remap'),
    ...share('lab', start.folder, 'readonly=off'),
    ...devices.options,
    ...['-kernel', kernel, ...root.options, '-append', words.join(' ')],
  ];
  return { command, followsTerminal: false, release: devices.release };
}

/** How the host's files become the root: mounted by the kernel itself, or by an initramfs that first loads modules. */
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

/** Shares a folder of the host, which the guest mounts by its tag. */
function share(tag: string, path: string, options: string): string[] {
  return [
    ...['-fsdev', `local,id=${tag},path=${quoteForOption(path)},security_model=none,${options}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag},disable-legacy=on`],
  ];
}

/** The command for an unpacked QEMU, with its own libraries and firmware. */
export const unpackedProgram = (folder: string): readonly [string, ...string[]] => [
  requireCommand('env', 'coreutils'),
  `LD_LIBRARY_PATH=${folder}/usr/lib/x86_64-linux-gnu`,
  `${folder}/usr/bin/qemu-system-x86_64`,
  ...['-L', `${folder}/usr/share/seabios`, '-L', `${folder}/usr/share/qemu`],
];
