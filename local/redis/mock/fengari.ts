import { createRequire } from 'node:module'

/** A Lua machine; only handed around. */
export type LuaState = { readonly isLuaState: true }

/** The part of fengari, the Lua that ioredis-mock brings, which scripts need. It follows the C API of Lua 5.3. */
export type Fengari = {
  to_luastring: (text: string) => Uint8Array
  lua: {
    LUA_OK: number
    LUA_REGISTRYINDEX: number
    LUA_MASKCOUNT: number
    LUA_TNIL: number
    LUA_TBOOLEAN: number
    LUA_TNUMBER: number
    LUA_TSTRING: number
    LUA_TTABLE: number
    lua_error(L: LuaState): number
    lua_geti(L: LuaState, index: number, n: number): number
    lua_gettop(L: LuaState): number
    lua_newtable(L: LuaState): void
    lua_pcall(L: LuaState, args: number, results: number, handler: number): number
    lua_pop(L: LuaState, n: number): void
    lua_pushboolean(L: LuaState, value: boolean): void
    lua_pushcfunction(L: LuaState, fn: (L: LuaState) => number): void
    lua_pushglobaltable(L: LuaState): void
    lua_pushlstring(L: LuaState, bytes: Uint8Array, length: number): void
    lua_pushnumber(L: LuaState, value: number): void
    lua_rawget(L: LuaState, index: number): number
    lua_rawgeti(L: LuaState, index: number, n: number): number
    lua_rawset(L: LuaState, index: number): void
    lua_rawseti(L: LuaState, index: number, n: number): void
    lua_sethook(L: LuaState, hook: ((L: LuaState) => void) | null, mask: number, count: number): void
    lua_settop(L: LuaState, index: number): void
    lua_toboolean(L: LuaState, index: number): boolean
    lua_tolstring(L: LuaState, index: number): Uint8Array | null
    lua_tonumber(L: LuaState, index: number): number
    lua_type(L: LuaState, index: number): number
  }
  lauxlib: {
    luaL_error(L: LuaState, format: Uint8Array): number
    luaL_loadbuffer(L: LuaState, bytes: Uint8Array, length: number, name: Uint8Array): number
    luaL_newstate(): LuaState
    luaL_ref(L: LuaState, table: number): number
    luaL_requiref(L: LuaState, name: Uint8Array, open: (L: LuaState) => number, isGlobal: number): void
    luaL_unref(L: LuaState, table: number, ref: number): void
  }
  lualib: Record<
    'luaopen_base' | 'luaopen_string' | 'luaopen_table' | 'luaopen_math',
    (L: LuaState) => number
  >
}

/** Loads it as Redis's Lua 5.1 writes numbers: 5, where Lua 5.3 says 5.0. It reads that setting once, from here. */
export function loadFengari(): Fengari {
  process.env['FENGARICONF'] = JSON.stringify({ LUA_COMPAT_FLOATSTRING: true })
  const require = createRequire(import.meta.url)
  // Its types are ours; it is no dependency of our own, but always there with ioredis-mock.
  return createRequire(require.resolve('ioredis-mock'))('fengari') as Fengari
}
