import { createHash } from 'node:crypto'

import type { Command } from '../engine.ts'
import { Failure, ok, Status, type Reply } from '../reply.ts'
import type { Word } from '../resp.ts'
import type { Fengari, LuaState } from './fengari.ts'

const mostMs = 5_000
const stepsBetweenLooks = 100_000
const mostScripts = 1_000

/**
 * What makes this Lua 5.3 act as the 5.1 of Redis. Its whole numbers have 32 bits and wrap, so numbers are kept as
 * floats, which count exactly as far as those of 5.1 do.
 */
const prelude = `
local setmetatable, tostring, error, floor, ceil, number = setmetatable, tostring, error, math.floor, math.ceil, tonumber
unpack, loadstring = table.unpack, load
tonumber = function(...) local n = number(...) return n and n + 0.0 end
math.floor = function(x) return floor(x) + 0.0 end
math.ceil = function(x) return ceil(x) + 0.0 end
math.pow = function(a, b) return a ^ b end
math.mod, math.fmod = math.fmod, math.fmod
local format, gsub = string.format, string.gsub
string.format = function(text, ...) return format(gsub(text, '%%(%-?%d*)[di]', '%%%1.0f'), ...) end
table.getn = function(t) return #t end
print, dofile, loadfile, collectgarbage = nil, nil, nil, nil
redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING = 0, 1, 2, 3
redis.log = function() end
redis.replicate_commands = function() return true end
redis.error_reply = function(text)
  return { err = text:match('^[A-Z]+ ') and text or 'ERR ' .. text:gsub('^%-', '') }
end
redis.status_reply = function(text) return { ok = text } end
setmetatable(_G, {
  __newindex = function(_, name)
    error("Script attempted to create global variable '" .. tostring(name) .. "'", 2)
  end,
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})`

/** Redis's scripts: one Lua for all of them, each compiled once. */
export class Lua {
  readonly #fengari: Fengari
  readonly #execute: (command: Command) => Reply
  readonly #state: LuaState
  readonly #compiled = new Map<string, number>()

  constructor(fengari: Fengari, execute: (command: Command) => Reply) {
    this.#fengari = fengari
    this.#execute = execute
    this.#state = this.#begin()
  }

  has(sha: string): boolean {
    return this.#compiled.has(sha)
  }

  /** Compiles a script and gives its SHA-1. */
  load(script: string): string {
    const sha = createHash('sha1').update(script).digest('hex')
    if (this.#compiled.has(sha)) return sha
    const { lua, lauxlib, to_luastring } = this.#fengari
    const bytes = to_luastring(script)
    if (
      lauxlib.luaL_loadbuffer(this.#state, bytes, bytes.length, to_luastring('@user_script')) !== lua.LUA_OK
    ) {
      throw new Error(`ERR Error compiling script (new function): ${this.#takeMessage()}`)
    }
    if (this.#compiled.size >= mostScripts) this.flush()
    this.#compiled.set(sha, lauxlib.luaL_ref(this.#state, lua.LUA_REGISTRYINDEX))
    return sha
  }

  flush(): void {
    const { lua, lauxlib } = this.#fengari
    for (const ref of this.#compiled.values()) lauxlib.luaL_unref(this.#state, lua.LUA_REGISTRYINDEX, ref)
    this.#compiled.clear()
  }

  run(sha: string, keys: readonly Word[], args: readonly Word[]): Reply {
    const { lua } = this.#fengari
    const L = this.#state
    const ref = this.#compiled.get(sha)
    if (ref === undefined) throw new Error('NOSCRIPT No matching script. Please use EVAL.')
    this.#setGlobal('KEYS', keys)
    this.#setGlobal('ARGV', args)
    const until = Date.now() + mostMs
    const stop = (): void => {
      if (Date.now() > until) this.#raise('Script killed: it ran for too long')
    }
    lua.lua_sethook(L, stop, lua.LUA_MASKCOUNT, stepsBetweenLooks)
    lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, ref)
    const status = lua.lua_pcall(L, 0, 1, 0)
    lua.lua_sethook(L, null, 0, 0)
    if (status === lua.LUA_OK) {
      const reply = this.#read(-1)
      lua.lua_settop(L, 0)
      return reply
    }
    const raised = lua.lua_type(L, -1) === lua.LUA_TTABLE ? this.#read(-1) : undefined
    const failure = raised instanceof Failure ? raised : new Failure(`ERR ${this.#message()} script: ${sha}`)
    lua.lua_settop(L, 0)
    return failure
  }

  #begin(): LuaState {
    const { lua, lauxlib, lualib, to_luastring } = this.#fengari
    const L = lauxlib.luaL_newstate()
    const libraries = {
      _G: lualib.luaopen_base,
      string: lualib.luaopen_string,
      table: lualib.luaopen_table,
      math: lualib.luaopen_math,
    }
    for (const [name, open] of Object.entries(libraries)) {
      lauxlib.luaL_requiref(L, to_luastring(name), open, 1)
      lua.lua_pop(L, 1)
    }
    lua.lua_pushglobaltable(L)
    this.#pushText(L, 'redis')
    lua.lua_newtable(L)
    const own = {
      call: () => this.#call(L, true),
      pcall: () => this.#call(L, false),
      sha1hex: () => {
        this.#pushText(
          L,
          createHash('sha1')
            .update(lua.lua_tolstring(L, 1) ?? '')
            .digest('hex'),
        )
        return 1
      },
    }
    for (const [name, fn] of Object.entries(own)) {
      this.#pushText(L, name)
      lua.lua_pushcfunction(L, fn)
      lua.lua_rawset(L, -3)
    }
    lua.lua_rawset(L, -3)
    const bytes = to_luastring(prelude)
    lauxlib.luaL_loadbuffer(L, bytes, bytes.length, to_luastring('@prelude'))
    if (lua.lua_pcall(L, 0, 0, 0) !== lua.LUA_OK) throw new Error('The prelude of the mock does not run')
    lua.lua_settop(L, 0)
    return L
  }

  /** `redis.call`, which raises what goes wrong, and `redis.pcall`, which returns it. */
  #call(L: LuaState, isRaising: boolean): number {
    const { lua } = this.#fengari
    const [verb, ...words] = Array.from({ length: lua.lua_gettop(L) }, (_, i) => this.#word(L, i + 1))
    const reply =
      verb === undefined
        ? new Failure('ERR Please specify at least one argument for this redis.call() call')
        : this.#execute([String(verb), ...words])
    this.#push(L, reply)
    return isRaising && reply instanceof Failure ? lua.lua_error(L) : 1
  }

  #word(L: LuaState, index: number): Word {
    const { lua } = this.#fengari
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TNUMBER:
        return numberText(lua.lua_tonumber(L, index))
      case lua.LUA_TSTRING:
        return textOf(lua.lua_tolstring(L, index))
      default:
        return this.#raise('Lua redis lib command arguments must be strings or integers')
    }
  }

  #push(L: LuaState, reply: Reply): void {
    const { lua } = this.#fengari
    if (reply === null) lua.lua_pushboolean(L, false)
    else if (typeof reply === 'number' || typeof reply === 'bigint') lua.lua_pushnumber(L, Number(reply))
    else if (typeof reply === 'string') this.#pushText(L, reply)
    else if (Buffer.isBuffer(reply)) lua.lua_pushlstring(L, new Uint8Array(reply), reply.length)
    else if (reply instanceof Status || reply instanceof Failure) {
      lua.lua_newtable(L)
      this.#pushText(L, reply instanceof Status ? 'ok' : 'err')
      this.#pushText(L, reply.text)
      lua.lua_rawset(L, -3)
    } else {
      lua.lua_newtable(L)
      for (const [i, each] of reply.entries()) {
        this.#push(L, each)
        lua.lua_rawseti(L, -2, i + 1)
      }
    }
  }

  /** What a script returns: numbers lose their fraction, a list ends at its first nil. */
  #read(index: number): Reply {
    const { lua } = this.#fengari
    const L = this.#state
    switch (lua.lua_type(L, index)) {
      case lua.LUA_TBOOLEAN:
        return lua.lua_toboolean(L, index) ? 1 : null
      case lua.LUA_TNUMBER:
        return Math.trunc(lua.lua_tonumber(L, index)) || 0
      case lua.LUA_TSTRING:
        return textOf(lua.lua_tolstring(L, index))
      case lua.LUA_TTABLE:
        return this.#readTable()
      default:
        return null
    }
  }

  #readTable(): Reply {
    const { lua } = this.#fengari
    const L = this.#state
    for (const name of ['err', 'ok'] as const) {
      this.#pushText(L, name)
      lua.lua_rawget(L, -2)
      const text =
        lua.lua_type(L, -1) === lua.LUA_TSTRING ? String(textOf(lua.lua_tolstring(L, -1))) : undefined
      lua.lua_pop(L, 1)
      if (text === undefined) continue
      if (name === 'err') return new Failure(text)
      return text === 'OK' ? ok : new Status(text)
    }
    const list: Reply[] = []
    for (let i = 1; ; i++) {
      const type = lua.lua_rawgeti(L, -1, i)
      const each = type === lua.LUA_TNIL ? undefined : this.#read(-1)
      lua.lua_pop(L, 1)
      if (each === undefined) return list
      list.push(each)
    }
  }

  #setGlobal(name: string, words: readonly Word[]): void {
    const { lua } = this.#fengari
    lua.lua_pushglobaltable(this.#state)
    this.#pushText(this.#state, name)
    this.#push(this.#state, words)
    lua.lua_rawset(this.#state, -3)
    lua.lua_pop(this.#state, 1)
  }

  #pushText(L: LuaState, text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.#fengari.lua.lua_pushlstring(L, bytes, bytes.length)
  }

  #raise(message: string): never {
    this.#fengari.lauxlib.luaL_error(this.#state, this.#fengari.to_luastring(message))
    throw new Error(message)
  }

  #message(): string {
    return String(textOf(this.#fengari.lua.lua_tolstring(this.#state, -1)))
  }

  #takeMessage(): string {
    const message = this.#message()
    this.#fengari.lua.lua_settop(this.#state, 0)
    return message
  }
}

/** As C writes a double with 17 digits, which is how Redis hands a number on. */
function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e17) return String(value)
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  const text = value.toPrecision(17)
  return text.includes('e') ? text : text.replace(/\.?0+$/, '')
}

function textOf(bytes: Uint8Array | null): string | Buffer {
  const buffer = Buffer.from(bytes ?? [])
  const text = buffer.toString()
  return text.includes('\ufffd') ? buffer : text
}
