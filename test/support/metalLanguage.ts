/*
 * What Apple's compiler would refuse in a text in the Metal shading language and what compilers for
 * processors take, or what no compiler can see. It reads declarations by their look, as far as the kernels'
 * style goes.
 */

const spaces = /\b(device|constant|thread|threadgroup|SET_THREAD)\b/;

/** Of C++14 what Metal lacks, of later C++ what is tempting, and what is slow or undefined on GPUs. */
const refused: [RegExp, string][] = [
  [/\bdouble\b/, 'Metal has no double'],
  [/\bstd::/, 'Metal has no std'],
  [/\bstatic\b(?!\s+constant\b)/, 'static, but for constants'],
  [/\[[&=\w, ]*\]\s*\([^()]*\)\s*(?:->\s*\w+\s*)?\{/, 'a lambda'],
  [/\bif\s+constexpr\b/, 'if constexpr (C++17)'],
  [/\bauto\s*&?\s*\[/, 'a structured binding (C++17)'],
  [/\binline\s+constexpr\s+\w+\s+\w+\s*=/, 'an inline variable (C++17)'],
  [/\b0[xX][\da-fA-F.]+[pP]/, 'a hexadecimal float (C++17)'],
  [
    /\b(?:virtual|new|delete|throw|try|catch|goto|noexcept|thread_local|dynamic_cast|typeid|long\s+long)\b/,
    'Metal lacks it',
  ],
  [/\b(?:half|vertex|fragment|visible|intersection|mesh|object|sampler)\s*[=;,)[]/, 'a name that Metal uses'],
];

/** A pointer or reference as it is declared: type, sign, name. */
const declarator = String.raw`(?:(?:const|device|constant|thread|threadgroup|SET_THREAD|volatile)\s+)*[A-Za-z_][\w:]*(?:<[^<>;]*>)?(?:\s+const)?\s*[*&]\s*(?:const\s+)?\w+`;

/** Without comments, texts, preprocessor lines and [[attributes]]. Columns and lines stay. */
function bare(text: string, keepAttributes = false): string {
  const blank = (part: string) => part.replace(/[^\n]/g, ' ');
  const code = text
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, blank)
    .replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$/gm, blank)
    .replace(/"[^"\n]*"/g, blank);
  return keepAttributes ? code : code.replace(/\[\[[^\]]*\]\]/g, blank);
}

/** Parts between commas outside of brackets. */
function parted(list: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const letter of list) {
    if ('(<[{'.includes(letter)) depth += 1;
    if (')>]}'.includes(letter)) depth -= 1;
    if (letter === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += letter;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** The parameter lists of functions and constructors that are defined. */
function parameterLists(code: string): { name: string; list: string }[] {
  const found = [];
  for (const match of code.matchAll(/\b([A-Za-z_]\w*)\s*\(/g)) {
    if (/^(?:if|for|while|switch|return|sizeof|decltype)$/.test(match[1]!)) continue;
    const begin = match.index + match[0].length;
    let end = begin;
    for (let depth = 1; end < code.length && depth > 0; ++end) {
      if (code[end] === '(') depth += 1;
      if (code[end] === ')') depth -= 1;
    }
    if (
      /^\s*(?:const\s*)?(?:\{|:[^:])/.test(code.slice(end, end + 40)) &&
      !/\?[^;{}]*$/.test(code.slice(0, match.index))
    ) {
      found.push({ name: match[1]!, list: code.slice(begin, end - 1) });
    }
  }
  return found;
}

function withoutSpace(text: string): string[] {
  const code = bare(text).replace(/\btemplate\s*<[^>]*>/g, ';');
  const found: string[] = [];
  for (const { name, list } of parameterLists(code)) {
    for (const parameter of parted(list)) {
      if (/[*&]/.test(parameter.replace(/=.*$/, '')) && !spaces.test(parameter))
        found.push(`${name}: ${parameter}`);
    }
  }
  // Variables, members and results; after a parenthesis only what a for loop declares.
  const declared = [
    new RegExp(String.raw`[;{}]\s*(?:(?:inline|SET_GPU|constexpr)\s+)*(${declarator})\s*(?=[=;,(])`, 'g'),
    new RegExp(String.raw`\bfor\s*\(\s*(${declarator})\s*=`, 'g'),
    /_cast\s*<([^<>]*[*&]\s*)>/g,
  ];
  for (const pattern of declared) {
    for (const [, declaration] of code.matchAll(pattern)) {
      if (/^(?:return|else|case)\b/.test(declaration!)) continue;
      if (!spaces.test(declaration!)) found.push(declaration!);
    }
  }
  return found.map((each) => `no address space: ${each.replaceAll(/\s+/g, ' ')}`);
}

/**
 * How kernels take their arguments: buffers numbered from 0 as they stand, what may be missing in `given` at
 * 30.
 */
function argumentsOf(text: string): string[] {
  const code = bare(text, true);
  const found: string[] = [];
  for (const match of code.matchAll(/\bkernel\s+void\s+(\w+)\s*\(([\s\S]*?)\)\s*\{/g)) {
    const name = match[1]!;
    const fault = (what: string) => found.push(`${name}: ${what}`);
    const buffers = new Map<string, number>();
    let next = 0;
    for (const parameter of parted(match[2]!)) {
      const [, type, argument, attribute, index] =
        /^([\s\S]*?)(\w+)\s*\[\[\s*(\w+)(?:\((\d+)\))?\s*\]\]$/.exec(parameter) ?? [];
      if (attribute === undefined) fault(`no attribute: ${parameter}`);
      if (attribute !== 'buffer') continue;
      if (argument === 'given') {
        if (index !== '30' || !/^constant uint32_t& $/.test(type!))
          fault('given is constant uint32_t& of index 30');
        continue;
      }
      if (Number(index) !== next) fault(`${argument} has index ${index}, not ${next}`);
      if (next === 0 ? !/^constant \w+Params& $/.test(type!) : !/^device [\s\S]*\* ?$/.test(type!)) {
        fault(
          `${argument} is no ${next === 0 ? 'constant reference to parameters' : 'pointer to device memory'}`,
        );
      }
      buffers.set(argument!, next);
      next += 1;
    }
    // Its body: to the brace at the start of a line.
    const begin = match.index + match[0].length;
    const body = code.slice(begin, begin + code.slice(begin).search(/^\}/m));
    const uses = [...body.matchAll(/SET_GIVEN\(\s*(\w+),\s*(\d+),\s*(\w+)\s*\)/g)];
    for (const [use, , index, argument] of uses) {
      if (buffers.get(argument!) !== Number(index))
        fault(`${use}, but ${argument} is ${buffers.get(argument!)}`);
    }
    if (/\bgiven\b/.test(match[2]!) !== uses.length > 0)
      fault('given is taken where something may be missing');
  }
  return found;
}

/**
 * Kernels that are templates must be operations with several kernels (gpu/op_table.h), or the host finds
 * nothing.
 */
function instancesOf(text: string): string[] {
  const several = new Set([...text.matchAll(/\bOP\((\w+), per_\w+, /g)].map(([, name]) => name!));
  return [...bare(text, true).matchAll(/template\s*<[^>]*>\s*kernel\s+void\s+(\w+)/g)]
    .map(([, name]) => name!)
    .filter((name) => !several.has(name))
    .map((name) => `${name}: a template without instances`);
}

export function faultsOf(text: string): string[] {
  const code = bare(text).replaceAll(/SET_CONSTANT/g, 'static constant constexpr');
  const words = refused.flatMap(([pattern, why]) => {
    const match = pattern.exec(code);
    return match === null ? [] : [`${why}: ${match[0]}`];
  });
  return [...words, ...withoutSpace(text), ...argumentsOf(text), ...instancesOf(text)];
}
