import { Structure } from '../sys/structure.js';

/** An argument of iommufd: a structure whose first u32 is its own size. */
export class SizedStructure extends Structure {
  constructor(size: number) {
    super(size);
    this.u32(0, size);
  }
}
