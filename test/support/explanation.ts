/** What ours adds to the kernel's error if that does not say which argument it is about, or what to do. */
const explanation = new RegExp(
  `^((?:Error: .*\n)?kernel answers: .*\n)(?:${[
    'Invalid \\w+ "[^]*": expected .*',
    'Not supported by the management device: .*',
    'Add \\S+ to device_features',
    'Run as root: .*',
  ].join('|')})\n$`,
);

/** A result of ours without that line, which rows of docs/differences.md describe. */
export function withoutExplanation<Result extends { readonly stderr: string }>(result: Result): Result {
  return { ...result, stderr: result.stderr.replace(explanation, '$1') };
}
