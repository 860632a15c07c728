/**
 * The first module of a thread in the single executable: makes the modules in it loadable as `vdpa:///threads/NAME.js`, and
 * loads the one that is the thread's argument. It is loaded from a data: URL, and imports nothing but Node's modules.
 */
import { registerHooks } from 'node:module';
import { getAsset } from 'node:sea';

/** The types are those of the oldest supported Node, which lacks it; the executable's has it. */
declare module 'node:module' {
  interface HookContext {
    readonly parentURL?: string;
  }
  function registerHooks(hooks: {
    resolve(specifier: string, context: HookContext, next: (specifier: string, context: HookContext) => object): object;
    load(url: string, context: object, next: (url: string, context: object) => object): object;
  }): void;
}

const base = 'vdpa:///';

registerHooks({
  resolve: (specifier, context, next) => {
    const isOurs = specifier.startsWith(base) || (specifier.startsWith('./') && context.parentURL?.startsWith(base));
    if (!isOurs) return next(specifier, context);
    return { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true };
  },
  load: (url, context, next) =>
    url.startsWith(base)
      ? { format: 'module', source: getAsset(url.slice(base.length), 'utf8'), shortCircuit: true }
      : next(url, context),
});

await import(process.argv.at(-1) ?? '');
