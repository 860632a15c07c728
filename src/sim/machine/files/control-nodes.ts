/** What /dev/vduse/control and /dev/iommu report when they are opened. */
import { Errno } from '../../../sys/errno.js';
import { SystemError } from '../../../sys/error.js';

/** The VDUSE API and the IOVA space of Linux 7.3 on a machine whose IOMMU limits nothing. */
const vduse = { apiVersion: 1n, features: 3n } as const;
const iommu = { ranges: [{ start: 0n, last: 2n ** 64n - 1n }], alignment: 1n } as const;

/** The nodes as a user of the machine opens them: they belong to root. */
export function simulatedControls(uid: number): {
  vduse(): Promise<typeof vduse>;
  iommu(): Promise<typeof iommu>;
} {
  const open = <Report>(node: string, report: Report): Promise<Report> => {
    if (uid === 0) return Promise.resolve(report);
    const hint = 'Run as root, or grant access to the node';
    return Promise.reject(new SystemError({ operation: `open ${node}`, errno: Errno.EACCES, hint }));
  };
  return { vduse: () => open('/dev/vduse/control', vduse), iommu: () => open('/dev/iommu', iommu) };
}
