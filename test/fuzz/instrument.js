/*
 * A copy of the sources and of what fuzzes them in build/fuzz, as JavaScript. In the sources, and in the
 * planted bug, every branch calls `hit` and every `===` becomes `same` (see trace.ts).
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const output = path.join(root, 'build/fuzz');

/** Brings the copy up to date and returns where it is. */
export async function instrument() {
  let ts;
  const newest = (...files) => Math.max(...files.map((file) => fs.statSync(file).mtimeMs));
  for (const folder of ['src', 'test/fuzz', 'test/support', 'test/unit/kernels']) {
    for (const name of fs.readdirSync(path.join(root, folder), { recursive: true })) {
      if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
      const from = path.join(root, folder, name);
      const to = path.join(output, folder, name.replace(/\.ts$/, '.js'));
      if (fs.existsSync(to) && newest(to) >= newest(from, fileURLToPath(import.meta.url))) continue;
      ts ??= (await import('typescript')).default;
      fs.mkdirSync(path.dirname(to), { recursive: true });
      fs.writeFileSync(to, transpile(ts, from, folder === 'src' || name === 'planted.ts'));
    }
  }
  return output;
}

function transpile(ts, file, traced) {
  let branches = 0;
  const { outputText } = ts.transpileModule(fs.readFileSync(file, 'utf8'), {
    fileName: file,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      removeComments: true,
    },
    transformers: { after: traced ? [tracer(ts, () => branches++)] : [] },
  });
  if (!traced) return outputText;
  const trace = pathToFileURL(path.join(output, 'test/fuzz/trace.js')).href;
  return `import { hit as __hit, region as __region, same as __same } from '${trace}';\nvar __first = __region(${branches});\n${outputText}`;
}

/** A transformer of JavaScript; `next` numbers the branches of the file. */
function tracer(ts, next) {
  return (context) => {
    const make = context.factory;
    const call = (name, ...args) => make.createCallExpression(make.createIdentifier(name), undefined, args);
    const hit = () =>
      call('__hit', make.createAdd(make.createIdentifier('__first'), make.createNumericLiteral(next())));
    const first = (statements) => [make.createExpressionStatement(hit()), ...statements];
    const block = (body) => make.createBlock(first(ts.isBlock(body) ? body.statements : [body]), true);
    const value = (expression) => make.createParenthesizedExpression(make.createComma(hit(), expression));
    const kinds = ts.SyntaxKind;

    const binary = (node) => {
      const { left, right, operatorToken } = node;
      switch (operatorToken.kind) {
        case kinds.AmpersandAmpersandToken:
        case kinds.BarBarToken:
        case kinds.QuestionQuestionToken:
          return make.updateBinaryExpression(node, left, operatorToken, value(right));
        case kinds.EqualsEqualsEqualsToken:
          return call('__same', left, right);
        case kinds.ExclamationEqualsEqualsToken:
          return make.createLogicalNot(call('__same', left, right));
        default:
          return node;
      }
    };
    const visit = (original, parent) => {
      const node = ts.visitEachChild(original, (child) => visit(child, original), context);
      if (ts.isBinaryExpression(node)) return binary(node);
      if (ts.isConditionalExpression(node)) {
        const { condition, questionToken, whenTrue, colonToken, whenFalse } = node;
        return make.updateConditionalExpression(
          node,
          condition,
          questionToken,
          value(whenTrue),
          colonToken,
          value(whenFalse),
        );
      }
      if (ts.isIfStatement(node)) {
        const { expression, thenStatement, elseStatement } = node;
        return make.updateIfStatement(
          node,
          expression,
          block(thenStatement),
          block(elseStatement ?? make.createBlock([])),
        );
      }
      if (ts.isForStatement(node)) {
        return make.updateForStatement(
          node,
          node.initializer,
          node.condition,
          node.incrementor,
          block(node.statement),
        );
      }
      if (ts.isForOfStatement(node)) {
        const { awaitModifier, initializer, expression, statement } = node;
        return make.updateForOfStatement(node, awaitModifier, initializer, expression, block(statement));
      }
      if (ts.isWhileStatement(node))
        return make.updateWhileStatement(node, node.expression, block(node.statement));
      if (ts.isCaseClause(node)) return make.updateCaseClause(node, node.expression, first(node.statements));
      if (ts.isCatchClause(node))
        return make.updateCatchClause(node, node.variableDeclaration, block(node.block));
      if (ts.isBlock(node) && ts.isFunctionLike(parent)) return block(node);
      if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
        const { modifiers, typeParameters, parameters, type, equalsGreaterThanToken, body } = node;
        return make.updateArrowFunction(
          node,
          modifiers,
          typeParameters,
          parameters,
          type,
          equalsGreaterThanToken,
          value(body),
        );
      }
      return node;
    };
    return (file) => ts.visitNode(file, (node) => visit(node));
  };
}
