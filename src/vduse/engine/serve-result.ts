/** There may be more to serve now. */
export const MORE = 0;
/** The queue is empty: it is served again when the driver kicks. */
export const WAIT = 1;
/** The queue has what it needs: the driver need not kick for it. It is served again when something else happens. */
export const QUIET = 2;

/** The queue has too little for what there is to do: it is served again when the driver brings more and kicks. */
export const STARVED = 3;

/** What serving a queue for a while has come to. */
export type ServeResult = typeof MORE | typeof WAIT | typeof QUIET | typeof STARVED;
