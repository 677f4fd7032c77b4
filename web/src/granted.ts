import { ask, type Client } from './api.ts'

const most = '500'

/** The pipelines that grants let whoever asks run: by themselves, or by their project. */
export async function readGranted(api: Client): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  const answer = await ask(api.v1.me.permissions.$get({ query: { limit: most } }))
  if (answer.state === 'failed') return found
  const running = answer.value.items.filter(({ permissions }) => permissions.includes('runs:write'))
  for (const { resource } of running) if (resource.kind === 'pipeline') found.add(resource.id)
  await Promise.all(
    running.map(async ({ resource: { kind, id } }) => {
      if (kind !== 'project' || !isProject(id)) return
      const inProject = await ask(api.v1.pipelines.$get({ query: { project: id, limit: most } }))
      if (inProject.state === 'ready') for (const pipeline of inProject.value.items) found.add(pipeline.id)
    }),
  )
  return found
}

const isProject = (id: string): id is `prj_${string}` => id.startsWith('prj_')
