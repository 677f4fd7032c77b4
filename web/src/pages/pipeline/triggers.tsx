import { Table } from '../../ui/table.tsx'
import { ownZone, Time } from '../../ui/time.tsx'
import type { Pipeline, Schedule } from './model.ts'
import { triggerWords } from './trigger-words.ts'

type TriggersProps = {
  triggers: Pipeline['definition']['triggers']
  schedules: readonly Schedule[]
  isPaused: boolean
}

/** What starts the pipeline by itself, and when next. */
export function Triggers({ triggers, schedules, isPaused }: TriggersProps) {
  const others = triggers.flatMap((trigger) => ('cron' in trigger ? [] : [triggerWords(trigger)]))
  if (others.length + schedules.length === 0) {
    return (
      <p>
        Nothing starts it by itself. Give its definition <code>triggers</code>, such as{' '}
        <code>{'{ cron: "15 6 * * 1-5", timezone: Europe/Berlin }'}</code>.
      </p>
    )
  }
  return (
    <>
      {schedules.length > 0 && (
        <Table caption={`Its schedules; next times in ${ownZone}`}>
          <thead>
            <tr>
              <th scope="col">Cron</th>
              <th scope="col">Zone</th>
              <th scope="col">Next</th>
              <th scope="col">Missed times</th>
              <th scope="col">While another run is at work</th>
            </tr>
          </thead>
          <tbody>
            {schedules.map((one) => (
              <tr key={one.id}>
                <th scope="row">
                  <code>{one.cron}</code>
                </th>
                <td data-label="Zone" data-double>
                  {one.timezone}
                  {one.calendar === undefined ? '' : `, on the days of ${one.calendar}`}
                </td>
                <td data-label="Next" data-wide>
                  {one.nextFireAt === undefined ? (
                    'never again'
                  ) : (
                    <>
                      <Time at={one.nextFireAt} zone />
                      {isPaused && ' if it is resumed by then'}
                    </>
                  )}
                </td>
                <td data-label="Missed times" data-double>
                  {catchUps[one.catchUp]}
                </td>
                <td data-label="While another run is at work" data-wide>
                  {overlaps[one.overlap]}
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      {others.length > 0 && (
        <ul>
          {others.map((words) => (
            <li key={words}>{words}</li>
          ))}
        </ul>
      )}
    </>
  )
}

const catchUps: Record<Schedule['catchUp'], string> = {
  all: 'all made up for',
  last: 'the last made up for',
  none: 'left out',
}
const overlaps: Record<Schedule['overlap'], string> = {
  skip: 'not started',
  queue: 'started after it',
  cancel: 'that one is cancelled',
  allow: 'started beside it',
}
