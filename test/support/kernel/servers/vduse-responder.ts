/**
 * Creates VDUSE instances and accepts every request of the kernel, in a separate process: a process that asks the kernel to
 * attach one blocks in a system call until that is answered. Serves no queues, so its disks cannot be read. Its argument is a
 * list of {@link RespondingInstance}; it prints a line when it is ready, and exits at the end of its standard input.
 */
import { VduseControl } from '../../../../src/vduse/kernel/control.js';
import { VduseDevice } from '../../../../src/vduse/kernel/device.js';

export interface RespondingInstance {
  readonly name: string;
  readonly deviceId: number;
  readonly vendorId: number;
  readonly features: string;
  /** The size of each queue; 0 for one that is not set up. */
  readonly queueSizes: readonly number[];
  /** The configuration space in hexadecimal digits. */
  readonly config: string;
}

const instances = JSON.parse(process.argv[2] ?? '[]') as RespondingInstance[];
const control = new VduseControl();
const devices = instances.map(({ name, features, queueSizes, config, ...identity }) => {
  control.create(name, {
    ...identity,
    features: BigInt(features),
    config: Buffer.from(config, 'hex'),
    queueCount: queueSizes.length,
    queueSize: 0,
  });
  const device = VduseDevice.open(name);
  queueSizes.forEach((size, index) => {
    if (size > 0) device.setUpQueue(index, size);
  });
  return device;
});
process.stdout.write('ready\n');

function respond(): void {
  for (const device of devices) {
    for (let request = device.readRequest(); request !== undefined; request = device.readRequest()) {
      const queueState =
        request.type === 'get-queue-state' ? { queue: request.queue, packed: false, position: 0 } : undefined;
      device.respond(request.id, { ok: true, ...(queueState && { queueState }) });
    }
  }
}

const timer = setInterval(respond, 1);
process.stdin.on('end', () => {
  clearInterval(timer);
  for (const device of devices) device.close();
  for (const { name } of instances) control.destroy(name);
  control.close();
});
process.stdin.resume();
