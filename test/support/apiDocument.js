/*
 * docs/api.md, made of the types and docstrings of src/: what every entry point exports, with the properties
 * of every type. `npm run docs` writes it, test/unit/api.test.ts compares.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as prettier from 'prettier';
import ts from 'typescript';

const root = path.resolve(import.meta.dirname, '../..');
const src = path.join(root, 'src');

const entries = [
  ['index.ts', 'set-native', 'Models and data.'],
  ['bench.ts', 'set-native/bench', 'Experiments that compare methods, and selection of features.'],
];

/** Headings of an entry, each with the folders or files of src/ whose exports stand below it. */
const headings = [
  ['Models and training', ['training']],
  ['Data', ['datasets', 'files']],
  ['Experiments', ['experiment', 'report']],
  ['Selection of features', ['selection']],
  ['Statistics', ['statistics.ts']],
  ['Errors and machine', ['errors.ts', 'info.ts']],
  ['Names', ['vocabulary.ts']],
];

function programOf() {
  const file = path.join(root, 'tsconfig.json');
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(file, ts.sys.readFile).config,
    ts.sys,
    root,
  );
  return ts.createProgram(
    entries.map(([name]) => path.join(src, name)),
    { ...options, noEmit: true },
  );
}

/** Renders the symbols of one program. */
class Renderer {
  constructor(program) {
    this.program = program;
    this.checker = program.getTypeChecker();
  }

  /** Exports of an entry file, without aliases, by name. */
  exportsOf(file) {
    const module = this.checker.getSymbolAtLocation(this.program.getSourceFile(path.join(src, file)));
    return this.checker.getExportsOfModule(module).map((symbol) => {
      const isAlias = symbol.flags & ts.SymbolFlags.Alias;
      const target = isAlias ? this.checker.getAliasedSymbol(symbol) : symbol;
      return { name: symbol.name, symbol: target, declaration: target.declarations[0] };
    });
  }

  docOf(symbol) {
    return ts.displayPartsToString(symbol.getDocumentationComment(this.checker)).trim();
  }

  /** Docstring of a function: its text, its parameters, what it throws. */
  fullDocOf(symbol) {
    const tags = symbol.getJsDocTags(this.checker).map(({ name, text }) => {
      const said = ts.displayPartsToString(text).replace(/\s+/g, ' ').trim();
      if (name === 'throws') return `Throws ${said.replace(/^SetNativeError /, '')}.`.replace(/\.\.$/, '.');
      if (name !== 'param') return '';
      const [, parameter, meaning] = /^(\S+)\s*(.*)$/.exec(said) ?? [];
      return `- \`${parameter}\`: ${meaning}`;
    });
    return [
      this.docOf(symbol),
      ...tags.filter((text) => text.startsWith('-')),
      ...tags.filter((text) => text.startsWith('Throws')),
    ].join('\n\n');
  }

  typeOf(symbol, at) {
    const flags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope;
    const declaration = symbol.declarations?.[0];
    const written = declaration?.type?.getText();
    const type =
      written ?? this.checker.typeToString(this.checker.getTypeOfSymbolAtLocation(symbol, at), at, flags);
    return type
      .replace(/^\|\s*/, '')
      .replace(/\s*\/\*\*.*?\*\/\s*/gs, ' ')
      .replace(/\s*\/\/.*$/gm, '')
      .replace(/\s+/g, ' ');
  }

  signature(declaration) {
    const text = declaration.getText();
    const end = declaration.body ? declaration.body.getStart() - declaration.getStart() : text.length;
    const head = text
      .slice(0, end)
      .replace(/^export /, '')
      .replace(/^async /, '')
      .replace(/^static async /, 'static ');
    return head.replace(/\s+/g, ' ').replace(/\( /g, '(').replace(/, \)/g, ')').replace(/;$/, '').trim();
  }

  /** Signatures that a caller sees: overloads without the one that implements them. */
  signatures(symbol) {
    const all = symbol.declarations.filter(
      (each) => ts.isFunctionDeclaration(each) || ts.isMethodDeclaration(each),
    );
    return all.length > 1 ? all.filter((each) => !each.body) : all;
  }

  table(symbol, at) {
    const properties = this.checker
      .getPropertiesOfType(this.checker.getDeclaredTypeOfSymbol(symbol))
      .filter(isOurs);
    const rows = properties.map((property) => {
      const optional = property.flags & ts.SymbolFlags.Optional ? '?' : '';
      const cells = [
        `\`${property.name}${optional}\``,
        `\`${this.typeOf(property, at)}\``,
        this.docOf(property),
      ];
      return `| ${cells.map((cell) => cell.replace(/\s+/g, ' ').replaceAll('|', '\\|')).join(' | ')} |`;
    });
    return rows.length === 0 ? '' : `| property | type | meaning |\n| --- | --- | --- |\n${rows.join('\n')}`;
  }

  classOf(symbol, declaration) {
    const isStatic = (member) => member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword);
    const members = declaration.members.filter(
      (member) =>
        member.name && !ts.isPrivateIdentifier(member.name) && !ts.isComputedPropertyName(member.name),
    );
    const parts = [];
    const properties = members.filter((member) => !ts.isMethodDeclaration(member));
    const rows = properties.map((member) => {
      const own = this.checker.getSymbolAtLocation(member.name);
      const cells = [`\`${own.name}\``, `\`${this.typeOf(own, declaration)}\``, this.docOf(own)];
      return `| ${cells.map((cell) => cell.replace(/\s+/g, ' ').replaceAll('|', '\\|')).join(' | ')} |`;
    });
    const methods = members
      .filter(ts.isMethodDeclaration)
      .sort((a, b) => Number(!isStatic(a)) - Number(!isStatic(b)));
    const done = new Set();
    for (const method of methods) {
      const own = this.checker.getSymbolAtLocation(method.name);
      if (done.has(own)) continue;
      done.add(own);
      const prefix = isStatic(method) ? `${symbol.name}.` : '.';
      const code = this.signatures(own).map((each) =>
        this.signature(each).replace(/^(static |async |\*)+/, ''),
      );
      parts.push(
        `#### \`${prefix}${own.name}\`\n\n\`\`\`ts\n${code.join('\n')}\n\`\`\`\n\n${this.fullDocOf(own)}`,
      );
    }
    const table =
      rows.length === 0 ? '' : `| property | type | meaning |\n| --- | --- | --- |\n${rows.join('\n')}`;
    return [table, ...parts].filter(Boolean).join('\n\n');
  }

  /** Section of an export. */
  section({ name, symbol, declaration }) {
    const title = `### \`${name}\``;
    const doc = this.docOf(symbol);
    if (ts.isFunctionDeclaration(declaration)) {
      const code = this.signatures(symbol).map((each) => this.signature(each));
      return `${title}\n\n\`\`\`ts\n${code.join('\n')}\n\`\`\`\n\n${this.fullDocOf(symbol)}`;
    }
    if (ts.isClassDeclaration(declaration))
      return [title, doc, this.classOf(symbol, declaration)].join('\n\n');
    if (ts.isInterfaceDeclaration(declaration))
      return [title, doc, this.table(symbol, declaration)].join('\n\n');
    if (ts.isTypeAliasDeclaration(declaration)) {
      const type = this.checker.getDeclaredTypeOfSymbol(symbol);
      const isNames = type.isUnion() && type.types.every((each) => each.isStringLiteral());
      const text = isNames
        ? type.types.map(({ value }) => `'${value}'`).join(' | ')
        : this.typeOf({ declarations: [declaration] }, declaration);
      return [title, `\`${text}\``, doc].join('\n\n');
    }
    return [title, doc].join('\n\n');
  }
}

/** Whether a property is written in src/, as those of Error and Array are not. */
const isOurs = (property) =>
  property.declarations?.some((each) => each.getSourceFile().fileName.startsWith(`${src}/`)) &&
  !property.name.startsWith('__@');

const placeOf = ({ declaration }) =>
  path.relative(src, declaration.getSourceFile().fileName).split(path.sep)[0];

/** Classes come first, then functions and values, then types, each by name. */
function rankOf({ declaration }) {
  if (ts.isClassDeclaration(declaration)) return 0;
  return ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration) ? 2 : 1;
}

/** The text of docs/api.md. */
export async function apiDocument() {
  const renderer = new Renderer(programOf());
  const parts = [
    '# API',
    'Made by `npm run docs` of the types and their comments: every export, and every option of each. Options ' +
      'are checked; an unknown one is an error. [In a service](service.md), [data sets](data.md), ' +
      '[model files](model-files.md) and [errors](errors.md) show how the parts go together.',
  ];
  for (const [file, name, what] of entries) {
    const exported = renderer.exportsOf(file);
    const text = exported.map(({ name: each }) => `\`${each}\``).sort();
    parts.push(`# \`${name}\``, `${what} ${text.length} exports.`);
    for (const [heading, places] of headings) {
      const here = exported.filter((each) => places.includes(placeOf(each)));
      if (here.length === 0) continue;
      here.sort((a, b) => rankOf(a) - rankOf(b) || (a.name < b.name ? -1 : 1));
      parts.push(`## ${heading}`, ...here.map((each) => renderer.section(each)));
    }
  }
  const file = path.join(root, 'docs/api.md');
  const options = await prettier.resolveConfig(file);
  return prettier.format(parts.join('\n\n'), { ...options, filepath: file });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(path.join(root, 'docs/api.md'), await apiDocument());
