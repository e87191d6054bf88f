/**
 * Node's HTTP without its client for the web: an `import` of node:http reads every export of it, and with them loads undici, which is some
 * 10 MB of resident memory for what a server never uses.
 */
export const { createServer, METHODS, STATUS_CODES } = process.getBuiltinModule("node:http");
