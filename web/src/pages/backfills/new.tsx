import { useModel, useSignal } from '@preact/signals'
import { useLocation } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api } from '../../browser.ts'
import { isId } from '../../id.ts'
import { mayRunAny } from '../../may-run.ts'
import { Alert } from '../../ui/alert.tsx'
import { Field, Form, FormAlert, SubmitButton, text, useSubmit } from '../../ui/form.tsx'
import { Filters } from '../../ui/filters.tsx'
import { GroupNav } from '../../ui/group-nav.tsx'
import { Page } from '../../ui/page.tsx'
import { PipelineChoice, usePipelineNames } from '../../ui/pipeline-choice.tsx'
import { ownZone } from '../../ui/time.tsx'
import { Waiting } from '../../ui/waiting.tsx'
import type { Pipeline } from '../pipeline/model.ts'
import { ParameterFields, parameterPaths, parametersIn } from '../pipeline/parameters.tsx'
import { backfillOf, cuts, NewBackfillModel } from './new-model.ts'

export function NewBackfillPage() {
  const { query, route } = useLocation()
  const names = usePipelineNames()
  const model = useModel(() => new NewBackfillModel(api))
  const chosen = isId('pip', query['pipelineId']) ? query['pipelineId'] : undefined
  useEffect(() => void model.choose(chosen), [model, chosen])
  const pipeline = model.pipeline.value
  return (
    <Page title="Start a backfill">
      <GroupNav of="runs" />
      {mayRunAny() ? (
        <>
          <Filters>
            <PipelineChoice
              names={names.value}
              value={chosen}
              none="choose"
              choose={(id) => route(id === '' ? '/backfills/new' : `/backfills/new?pipelineId=${id}`, true)}
            />
          </Filters>
          {pipeline?.state === 'loading' && <Waiting />}
          {pipeline?.state === 'failed' && <Alert problem={pipeline.problem} />}
          {pipeline?.state === 'ready' && (
            <Asking key={pipeline.value.id} pipeline={pipeline.value} start={model.start} />
          )}
        </>
      ) : (
        <p role="alert">
          Your role does not allow this (it needs <code>runs:write</code>). An owner or an admin of your
          organisation can give you another role.
        </p>
      )}
    </Page>
  )
}

const cutWords: Record<(typeof cuts)[number], string> = {
  day: 'each day',
  hour: 'each hour',
  month: 'each month',
  schedule: 'each time of its schedule',
  cron: 'each time of a cron expression',
}
const paths = ['from', 'to', 'by', 'cron', 'timezone', 'order', 'concurrency']

type AskingProps = { pipeline: Pipeline; start: InstanceType<typeof NewBackfillModel>['start'] }

function Asking({ pipeline: { id, definition }, start }: AskingProps) {
  const { route } = useLocation()
  const { parameters, triggers } = definition
  const hasSchedule = triggers.filter((trigger) => 'cron' in trigger).length === 1
  const cut = useSignal<string>(hasSchedule ? 'schedule' : 'day')
  const edges = useSignal('days')
  const { submit, busy, problem } = useSubmit(
    (form) =>
      start(
        id,
        backfillOf((name) => text(form, name), parametersIn(parameters, form)),
      ),
    (made) => route(`/backfills/${made.id}`),
  )
  const type = edges.value === 'days' ? 'date' : 'datetime-local'
  const words = edges.value === 'days' ? '' : ' (UTC)'
  return (
    <Form submit={submit} label="Start a backfill">
      <Field label="One run for" name="cut" path="by" problem={problem}>
        {(field) => (
          <select
            {...field}
            value={cut.value}
            onChange={({ currentTarget }) => (cut.value = currentTarget.value)}
          >
            {cuts
              .filter((one) => one !== 'schedule' || hasSchedule)
              .map((one) => (
                <option key={one} value={one}>
                  {cutWords[one]}
                </option>
              ))}
          </select>
        )}
      </Field>
      {cut.value === 'cron' && (
        <Field label="Cron expression" name="cron" hint="such as 15 6 * * 1-5" problem={problem}>
          {(field) => <input {...field} type="text" required maxLength={100} autoComplete="off" />}
        </Field>
      )}
      <Field label="From and to are" name="edges" problem={problem}>
        {(field) => (
          <select
            {...field}
            value={edges.value}
            onChange={({ currentTarget }) => (edges.value = currentTarget.value)}
          >
            <option value="days">whole days</option>
            <option value="times">times</option>
          </select>
        )}
      </Field>
      <Field key={`from ${type}`} label={`From${words}`} name="from" problem={problem}>
        {(field) => <input {...field} type={type} required />}
      </Field>
      <Field key={`to ${type}`} label={`To${words}`} name="to" hint="that one included" problem={problem}>
        {(field) => <input {...field} type={type} required />}
      </Field>
      {cut.value !== 'schedule' && (
        <Field
          label="Time zone"
          name="timezone"
          hint={`such as ${ownZone}; whose days and hours`}
          problem={problem}
        >
          {(field) => <input {...field} type="text" defaultValue="UTC" maxLength={100} autoComplete="off" />}
        </Field>
      )}
      <Field label="Order" name="order" problem={problem}>
        {(field) => (
          <select {...field}>
            <option value="oldest">the oldest first</option>
            <option value="newest">the newest first</option>
          </select>
        )}
      </Field>
      <Field label="Runs at once" name="concurrency" problem={problem}>
        {(field) => <input {...field} type="number" min={1} max={100} defaultValue="1" required />}
      </Field>
      <label>
        <input type="checkbox" name="skipSucceeded" value="yes" /> Skip what has succeeded before
      </label>
      <ParameterFields parameters={parameters} problem={problem} />
      <FormAlert problem={problem} shown={[...paths, ...parameterPaths(parameters)]} />
      <SubmitButton busy={busy} word="Start it" busyWord="Starting…" />
    </Form>
  )
}
