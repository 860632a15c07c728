/**
 * A command that starts a program as an ordinary user, with the capability to read any file: only its owner may have access to a
 * checkout.
 */
export const asNobody = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'],
] as const;
