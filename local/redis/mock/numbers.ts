import type { Word } from '../resp.ts'

const most = 2n ** 63n - 1n
const least = -(2n ** 63n)
const notAnInteger = 'ERR value is not an integer or out of range'

/** A whole number of 64 bits, written as Redis takes it. */
export function bigintOf(word: Word, complaint = notAnInteger): bigint {
  const text = String(word)
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) throw new Error(complaint)
  const value = BigInt(text)
  if (value > most || value < least) throw new Error(complaint)
  return value
}

export const integerOf = (word: Word, complaint = notAnInteger): number => Number(bigintOf(word, complaint))

export function floatOf(word: Word): number {
  const text = String(word)
  const value = /^[+-]?inf(inity)?$/i.test(text) ? Number(text.replace(/inf.*/i, 'Infinity')) : Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new Error('ERR value is not a valid float')
  return value
}

export function sum(a: bigint, b: bigint): bigint {
  const total = a + b
  if (total > most || total < least) throw new Error('ERR increment or decrement would overflow')
  return total
}

/** As an answer: exact, whatever its size. */
export const toInteger = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
