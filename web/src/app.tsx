import { useSignal } from '@preact/signals'
import { ErrorBoundary, lazy, LocationProvider, Route, Router, useLocation } from 'preact-iso'
import { useEffect, useRef } from 'preact/hooks'
import { session } from './browser.ts'
import { destination, isEntrance, isOpen } from './session.ts'
import { awaited } from './second-step.ts'
import { Alert } from './ui/alert.tsx'
import { Header } from './ui/header.tsx'
import { Waiting } from './ui/waiting.tsx'
import styles from './app.module.css'

const SignIn = lazy(() => import('./pages/sign-in/page.tsx').then((page) => page.SignInPage))
const SignUp = lazy(() => import('./pages/sign-up/page.tsx').then((page) => page.SignUpPage))
const Invitation = lazy(() => import('./pages/invitation/page.tsx').then((page) => page.InvitationPage))
const Verify = lazy(() => import('./pages/verify/page.tsx').then((page) => page.VerifyPage))
const Link = lazy(() => import('./pages/link/page.tsx').then((page) => page.LinkPage))
const Reset = lazy(() => import('./pages/reset/page.tsx').then((page) => page.ResetPage))
const Pipelines = lazy(() => import('./pages/pipelines/page.tsx').then((page) => page.PipelinesPage))
const Pipeline = lazy(() => import('./pages/pipeline/page.tsx').then((page) => page.PipelinePage))
const Runs = lazy(() => import('./pages/runs/page.tsx').then((page) => page.RunsPage))
const Run = lazy(() => import('./pages/run/page.tsx').then((page) => page.RunPage))
const Approvals = lazy(() => import('./pages/approvals/page.tsx').then((page) => page.ApprovalsPage))
const Backfills = lazy(() => import('./pages/backfills/page.tsx').then((page) => page.BackfillsPage))
const NewBackfill = lazy(() => import('./pages/backfills/new.tsx').then((page) => page.NewBackfillPage))
const Backfill = lazy(() => import('./pages/backfills/one.tsx').then((page) => page.BackfillPage))
const DeadLetters = lazy(() => import('./pages/dead-letters/page.tsx').then((page) => page.DeadLettersPage))
const DeadLetter = lazy(() => import('./pages/dead-letters/one.tsx').then((page) => page.DeadLetterPage))
const Alerts = lazy(() => import('./pages/alerts/page.tsx').then((page) => page.AlertsPage))
const Security = lazy(() => import('./pages/security/page.tsx').then((page) => page.SecurityPage))
const Account = lazy(() => import('./pages/account/page.tsx').then((page) => page.AccountPage))
const Members = lazy(() => import('./pages/members/page.tsx').then((page) => page.MembersPage))
const Keys = lazy(() => import('./pages/keys/page.tsx').then((page) => page.KeysPage))
const NewKey = lazy(() => import('./pages/new-key/page.tsx').then((page) => page.NewKeyPage))
const ServiceAccounts = lazy(() =>
  import('./pages/service-accounts/page.tsx').then((page) => page.ServiceAccountsPage),
)
const Audit = lazy(() => import('./pages/audit/page.tsx').then((page) => page.AuditPage))
const Usage = lazy(() => import('./pages/usage/page.tsx').then((page) => page.UsagePage))
const NotFound = lazy(() => import('./pages/not-found/page.tsx').then((page) => page.NotFoundPage))

/** Addresses of the API are no pages: links to them are followed by the browser. */
const pages = /^\/(?!v1\/|problems\/|\.well-known\/)/

export function App() {
  const broken = useSignal(false)
  return (
    <LocationProvider scope={pages}>
      <ErrorBoundary onError={() => (broken.value = true)}>
        <a class={styles.skip} href="#main">
          Skip to the content
        </a>
        <Header />
        <main id="main" class={styles.main} tabIndex={-1}>
          {broken.value ? <Broken /> : <Content />}
        </main>
      </ErrorBoundary>
    </LocationProvider>
  )
}

function Content() {
  const place = useLocation()
  const state = session.state.value
  // Who is signed in and at the second step of another sign-in stays there.
  const elsewhere =
    awaited.value !== undefined && place.path === '/sign-in' ? undefined : destination(state, place)
  const switches = useSwitches()
  useEffect(() => void session.open(), [])
  useEffect(() => {
    if (elsewhere !== undefined) place.route(elsewhere, true)
  }, [elsewhere])

  if (state.state === 'failed') return <Alert problem={state.problem} retry={() => void session.open()} />
  if (elsewhere !== undefined || (state.state !== 'ready' && !isEntrance(place.path) && !isOpen(place.path)))
    return <Waiting />
  return (
    <Router key={switches}>
      <Route path="/" component={Pipelines} />
      <Route path="/sign-in" component={SignIn} />
      <Route path="/sign-up" component={SignUp} />
      <Route path="/invitation" component={Invitation} />
      <Route path="/verify" component={Verify} />
      <Route path="/link" component={Link} />
      <Route path="/reset" component={Reset} />
      <Route path="/pipelines" component={Pipelines} />
      <Route path="/pipelines/:id" component={Pipeline} />
      <Route path="/runs" component={Runs} />
      <Route path="/runs/:id" component={Run} />
      <Route path="/approvals" component={Approvals} />
      <Route path="/backfills" component={Backfills} />
      <Route path="/backfills/new" component={NewBackfill} />
      <Route path="/backfills/:id" component={Backfill} />
      <Route path="/dead-letters" component={DeadLetters} />
      <Route path="/dead-letters/:id" component={DeadLetter} />
      <Route path="/alerts" component={Alerts} />
      <Route path="/security" component={Security} />
      <Route path="/account" component={Account} />
      <Route path="/members" component={Members} />
      <Route path="/keys" component={Keys} />
      <Route path="/keys/new" component={NewKey} />
      <Route path="/service-accounts" component={ServiceAccounts} />
      <Route path="/audit" component={Audit} />
      <Route path="/usage" component={Usage} />
      <Route default component={NotFound} />
    </Router>
  )
}

/**
 * How often another tenant was gone to: its pages begin anew. Signing in or out is no such thing: links in mails lead to
 * pages that go on meanwhile.
 */
function useSwitches(): number {
  const shown = useRef<{ tenantId?: string; switches: number }>({ switches: 0 })
  const state = session.state.value
  if (state.state === 'ready') {
    const { tenantId = state.value.tenant.id, switches } = shown.current
    const isOther = tenantId !== state.value.tenant.id
    shown.current = { tenantId: state.value.tenant.id, switches: isOther ? switches + 1 : switches }
  }
  return shown.current.switches
}

/** Most often the console was replaced by a newer one while this page was open, and its parts are gone. */
function Broken() {
  const detail = 'This page cannot be shown. Loading it again gets the newest console.'
  return (
    <Alert
      problem={{ status: 0, code: 'broken', detail }}
      retry={() => location.reload()}
      retryWord="Load again"
    />
  )
}
