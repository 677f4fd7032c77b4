import { describe, expect, it } from 'vitest'
import { hashPassword, passwordCost, verifyPassword } from '#src/actions/passwords.ts'

describe('passwords', () => {
  it('are kept as scrypt N=2^15 r=8 p=3 with a salt of their own', async () => {
    const [one, two] = await Promise.all([
      hashPassword('same words', passwordCost),
      hashPassword('same words', passwordCost),
    ])
    expect(one).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(one).not.toBe(two)
  })

  it('are right or wrong to the last character, however long', async () => {
    const long = 'ü'.repeat(255) + 'a'
    const stored = await hashPassword(long, passwordCost)
    expect(await verifyPassword(long, stored, passwordCost)).toEqual({ ok: true, outdated: false })
    expect((await verifyPassword('ü'.repeat(255) + 'b', stored, passwordCost)).ok).toBe(false)
    expect((await verifyPassword('ü'.repeat(255), stored, passwordCost)).ok).toBe(false)
  })

  it('agree with RFC 7914, and ask for a new hash where its parameters are not ours', async () => {
    const stored = '$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI'
    expect(await verifyPassword('pleaseletmein', stored, passwordCost)).toEqual({ ok: true, outdated: true })
  })

  it('take as much work for nobody as for somebody', async () => {
    const stored = await hashPassword('somebody', passwordCost)
    const took = async (hash: string | undefined) => {
      // The work, not the clock: somebody else may have the processor meanwhile.
      const before = process.cpuUsage()
      expect((await verifyPassword('a wrong password', hash, passwordCost)).ok).toBe(false)
      const { user, system } = process.cpuUsage(before)
      return user + system
    }
    const somebody = [await took(stored), await took(stored), await took(stored)]
    const nobody = [await took(undefined), await took(undefined), await took(undefined)]
    const ratio = Math.min(...nobody) / Math.min(...somebody)
    expect(ratio).toBeGreaterThan(0.5)
    expect(ratio).toBeLessThan(2)
  })
})
