import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { checkoutRoot } from '../../lab/cache.js';

const read = (path: string): string => readFileSync(join(checkoutRoot, path), 'utf8');

/** The names that version 0.1.0 exported, by import. */
const before = JSON.parse(read('test/package/public-names-0.1.0.json')) as Readonly<Record<string, readonly string[]>>;

/** The names that a module exports: those that it declares, lists, or re-exports from another one. */
function exportsOf(path: string): string[] {
  const source = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest);
  return source.statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement)) {
      const { exportClause, moduleSpecifier } = statement;
      if (exportClause && ts.isNamedExports(exportClause)) return exportClause.elements.map(({ name }) => name.text);
      assert.ok(moduleSpecifier && ts.isStringLiteral(moduleSpecifier), path);
      return exportsOf(join(dirname(path), moduleSpecifier.text.replace(/\.js$/, '.ts')));
    }
    const isExported =
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true;
    return isExported ? declared(statement) : [];
  });
}

/** The names that a statement declares. */
function declared(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
  }
  const isNamed =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement);
  return isNamed && statement.name ? [statement.name.text] : [];
}

/** The rows of the tables under "Renamed": the import, and the names at the start of each code span. */
function replaced(): { from: string; was: string[]; is: string[] }[] {
  const [, section = ''] = /^### Renamed$([^]*?)^### /m.exec(read('CHANGELOG.md')) ?? [];
  const namesIn = (cell: string): string[] => [...cell.matchAll(/`([A-Za-z]\w*)[^`]*`/g)].map(([, name = '']) => name);
  return [...section.matchAll(/^\| `([^`]+)` \| (.*) \| (.*) \|$/gm)].map(([, from = '', was = '', is = '']) => ({
    from,
    was: namesIn(was),
    is: namesIn(is),
  }));
}

for (const [from, names] of Object.entries(before)) {
  test(`${from}: each name of 0.1.0 is exported, or the changelog says what replaced it`, () => {
    const now = new Set(exportsOf(from === 'vdpa' ? 'src/index.ts' : `src/${from.replace('vdpa/', '')}/index.ts`));
    const rows = replaced().filter((row) => row.from === from);
    for (const name of names.filter((old) => !now.has(old))) {
      const row = rows.find(({ was }) => was.includes(name));
      assert.ok(row, `${from} lacks ${name}, and no row of the changelog says why`);
      assert.ok(
        row.is.some((other) => now.has(other)),
        `none of ${row.is.join(', ')} is exported by ${from}`,
      );
    }
  });
}
