import {
  addToTeam as addToTeamRow,
  deleteTeam as deleteTeamRow,
  getTeam,
  insertTeam,
  listTeams,
  removeFromTeam as removeFromTeamRow,
  renameTeam as renameTeamRow,
  type Team,
  type TeamId,
} from '#src/db/teams.ts'
import { newId, type UserId } from '#src/domain/id.ts'
import { toPage, type Page, type PageRequest } from '#src/domain/page.ts'
import { allow, type Context } from './context.ts'

export async function createTeam(ctx: Context, name: string): Promise<Team> {
  allow(ctx, 'members:write')
  return insertTeam(ctx.tenantDb, newId('team', ctx.now()), name)
}

export async function readTeams(ctx: Context, { after, limit }: PageRequest): Promise<Page<Team>> {
  allow(ctx, 'members:read')
  return toPage(await listTeams(ctx.tenantDb, after?.[0], limit), limit, ({ id }) => [id])
}

export async function readTeam(ctx: Context, id: TeamId): Promise<Team> {
  allow(ctx, 'members:read')
  return getTeam(ctx.tenantDb, id)
}

export async function renameTeam(ctx: Context, id: TeamId, name: string): Promise<Team> {
  allow(ctx, 'members:write')
  return renameTeamRow(ctx.tenantDb, id, name)
}

export async function deleteTeam(ctx: Context, id: TeamId): Promise<void> {
  allow(ctx, 'members:write')
  await deleteTeamRow(ctx.tenantDb, id)
}

/** A team's grants are given with the place in it, so this needs what giving grants needs. */
export async function addToTeam(ctx: Context, id: TeamId, userId: UserId): Promise<void> {
  allow(ctx, 'members:write')
  allow(ctx, 'access:write')
  await addToTeamRow(ctx.tenantDb, id, userId)
}

export async function removeFromTeam(ctx: Context, id: TeamId, userId: UserId): Promise<void> {
  allow(ctx, 'members:write')
  await removeFromTeamRow(ctx.tenantDb, id, userId)
}
