/** Quotes a value for one of QEMU's option lists, in which a comma ends a value and two commas stand for one. */
export const quoteForOption = (value: string): string => value.replaceAll(',', ',,');
