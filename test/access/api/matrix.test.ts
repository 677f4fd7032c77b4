import { afterAll, beforeAll } from 'vitest'
import { customRoleCases } from './custom-role-cases.ts'
import { grantCases } from './grant-cases.ts'
import { rolesCases } from './roles-cases.ts'
import { accessStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await accessStage()
})
afterAll(() => stage.end())
const there = () => stage

rolesCases(there, 20)
customRoleCases(there, false)
grantCases(there, false)
