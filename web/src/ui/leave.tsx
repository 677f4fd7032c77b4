import { tell } from '../api.ts'
import { api, session } from '../browser.ts'
import { Confirm } from './confirm.tsx'

/** One's own going from the organisation that one works in. */
export function Leave({ name }: { name: string }) {
  return (
    <Confirm
      word="Leave"
      name={`Leave ${name}`}
      title={`Leave ${name}?`}
      action="Leave"
      act={() => tell(api.v1.me.leave.$post())}
      done={() => session.open()}
    >
      <p>
        Your session here and your API keys end at once. To come back you need an invitation. What you have
        made stays.
      </p>
    </Confirm>
  )
}
