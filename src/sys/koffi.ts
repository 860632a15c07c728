import { loadKoffi, type Koffi } from './load-koffi.js';

/** The foreign function interface, for the modules that declare functions of libc. */
export const koffi: Koffi = loadKoffi();
