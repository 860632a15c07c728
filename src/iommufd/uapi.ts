/** Numbers of the user API of /dev/iommu. Mirrors include/uapi/linux/iommufd.h. */
import { io } from '../sys/ioctl-request.js';

const IOMMUFD_TYPE = 0x3b;

/** `struct iommu_destroy`: u32 size, u32 id. */
export const IOMMU_DESTROY = io(IOMMUFD_TYPE, 0x80);
/** `struct iommu_ioas_alloc`: u32 size, u32 flags, u32 out_ioas_id. */
export const IOMMU_IOAS_ALLOC = io(IOMMUFD_TYPE, 0x81);
/** `struct iommu_ioas_allow_iovas`: u32 size, u32 ioas_id, u32 num_iovas, u32 reserved, u64 allowed_iovas. */
export const IOMMU_IOAS_ALLOW_IOVAS = io(IOMMUFD_TYPE, 0x82);
/**
 * `struct iommu_ioas_copy`: u32 size, u32 flags, u32 dst_ioas_id, u32 src_ioas_id, u64 length, u64 dst_iova, u64
 * src_iova.
 */
export const IOMMU_IOAS_COPY = io(IOMMUFD_TYPE, 0x83);
/**
 * `struct iommu_ioas_iova_ranges`: u32 size, u32 ioas_id, u32 num_iovas, u32 reserved, u64 allowed_iovas, u64
 * out_iova_alignment.
 */
export const IOMMU_IOAS_IOVA_RANGES = io(IOMMUFD_TYPE, 0x84);
/** `struct iommu_ioas_map`: u32 size, u32 flags, u32 ioas_id, u32 reserved, u64 user_va, u64 length, u64 iova. */
export const IOMMU_IOAS_MAP = io(IOMMUFD_TYPE, 0x85);
/** `struct iommu_ioas_unmap`: u32 size, u32 ioas_id, u64 iova, u64 length. */
export const IOMMU_IOAS_UNMAP = io(IOMMUFD_TYPE, 0x86);
/** `struct iommu_option`: u32 size, u32 option_id, u16 op, u16 reserved, u32 object_id, u64 val64. */
export const IOMMU_OPTION = io(IOMMUFD_TYPE, 0x87);
/** `struct iommu_vfio_ioas`: u32 size, u32 ioas_id, u16 op, u16 reserved. */
export const IOMMU_VFIO_IOAS = io(IOMMUFD_TYPE, 0x88);
/** `struct iommu_ioas_map_file`: u32 size, u32 flags, u32 ioas_id, s32 fd, u64 start, u64 length, u64 iova. */
export const IOMMU_IOAS_MAP_FILE = io(IOMMUFD_TYPE, 0x8f);

export const IOMMU_IOAS_MAP_FIXED_IOVA = 1;
export const IOMMU_IOAS_MAP_WRITEABLE = 2;
export const IOMMU_IOAS_MAP_READABLE = 4;

export const IOMMU_OPTION_RLIMIT_MODE = 0;
export const IOMMU_OPTION_HUGE_PAGES = 1;

export const IOMMU_OPTION_OP_SET = 0;
export const IOMMU_OPTION_OP_GET = 1;

export const IOMMU_VFIO_IOAS_GET = 0;
export const IOMMU_VFIO_IOAS_SET = 1;
export const IOMMU_VFIO_IOAS_CLEAR = 2;
