/// <reference types="node" preserve="true" />
/**
 * /dev/iommu: I/O address spaces from TypeScript.
 *
 * @example
 * const iommufd = Iommufd.open();
 * const ioas = iommufd.allocateIoas();
 * const iova = ioas.mapFile({ fd: memfd, start: 0n, length: 1n << 20n, access: 'read-write' });
 * ioas.unmap(iova, 1n << 20n);
 * iommufd.close();
 */
export { Iommufd, type RlimitMode } from './iommufd.js';
export {
  Ioas,
  type Access,
  type IoasId,
  type IommufdCall,
  type IovaRange,
  type IovaRanges,
  type MapOptions,
} from './ioas.js';
