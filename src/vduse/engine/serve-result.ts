/** There may be more to serve now. */
export const MORE = 0;
/** The queue is empty: it is served again when the driver kicks. */
export const WAIT = 1;
/** The queue has enough buffers: the driver need not kick for it. It is served again on another event. */
export const QUIET = 2;

/** The queue has too few buffers for the pending work: it is served again when the driver adds more and kicks. */
export const STARVED = 3;

/** The results of serving a queue for a while, for programs. */
export const ServeResult = { MORE, WAIT, QUIET, STARVED } as const;

/** The result of serving a queue for a while. */
export type ServeResult = (typeof ServeResult)[keyof typeof ServeResult];
