/** Packages of CommonJS: an `import()` of one by its own name finds no names in it once the program is built. */
export { scimPatch, ScimError } from 'scim-patch'
export { parse } from 'scim2-parse-filter'
