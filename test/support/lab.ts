import type { Lab } from '../../lab/boot.js';
import { findLab } from '../../lab/setup.js';

const lab = await findLab();
const leftOut = process.env['VDPA_LAB_LEFT_OUT'] ?? '';

/**
 * Options of tests that boot the lab. They are left out where `npm test` tells that this machine cannot have one;
 * otherwise a missing lab makes them fail.
 */
export const needsLab = leftOut === '' ? {} : { skip: leftOut };

/** The lab of this machine. @throws {Error} where there is none */
export function theLab(): Lab {
  if ('missing' in lab) throw new Error(`no lab: ${lab.missing}`);
  return lab;
}
