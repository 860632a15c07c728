/** A value in one of QEMU's lists of options, where a comma ends a value and two stand for one. */
export const quoteForOption = (value: string): string => value.replaceAll(',', ',,');
