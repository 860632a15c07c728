/**
 * Words that start a program as an ordinary user. The one right left is to read files: a checkout may be its owner's
 * alone.
 */
export const asNobody = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'],
] as const;
