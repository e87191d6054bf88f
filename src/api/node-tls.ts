/** What TLS is made of, 26 modules of Node's own, is loaded with the first listener that has it. */
export const loadHttps = () => process.getBuiltinModule("node:https");
export const loadTls = () => process.getBuiltinModule("node:tls");
