import '../lab/inside.js';
import { sh } from './vduse.js';

/** What `vdpa -j vduse show` prints of a device, in part. */
export interface Shown {
  readonly pid?: number;
  readonly cache?: string;
  readonly aio?: string;
  readonly state?: string;
  readonly stalled?: number;
  readonly readonly?: boolean;
  readonly connection?: string;
  readonly connections?: number;
  readonly connection_error?: string;
  readonly queue?: readonly { readonly errors: number; readonly requests: number }[];
}

export async function show(name: string): Promise<Shown> {
  const shown = JSON.parse(await sh(`/run/bin/vdpa -j vduse show ${name}`)) as { vduse: Record<string, Shown> };
  return shown.vduse[name] ?? {};
}

/** The requests of a device that failed. */
export async function errorsOf(name: string): Promise<number> {
  return ((await show(name)).queue ?? []).reduce((sum, { errors }) => sum + errors, 0);
}
