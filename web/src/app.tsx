import { ErrorBoundary, lazy, LocationProvider, Route, Router, useLocation } from 'preact-iso'
import { useEffect } from 'preact/hooks'
import { api } from './api.ts'
import { signedIn } from './session.ts'
import styles from './app.module.css'

const SignIn = lazy(() => import('./pages/sign-in/page.tsx').then((page) => page.SignInPage))
const Pipelines = lazy(() => import('./pages/pipelines/page.tsx').then((page) => page.PipelinesPage))
const Pipeline = lazy(() => import('./pages/pipeline/page.tsx').then((page) => page.PipelinePage))
const Runs = lazy(() => import('./pages/runs/page.tsx').then((page) => page.RunsPage))
const Run = lazy(() => import('./pages/run/page.tsx').then((page) => page.RunPage))
const NotFound = lazy(() => import('./pages/not-found/page.tsx').then((page) => page.NotFoundPage))

export function App() {
  return (
    <LocationProvider>
      <ErrorBoundary>
        <a class={styles.skip} href="#main">
          Skip to the content
        </a>
        <Header />
        <main id="main" class={styles.main}>
          <Router onRouteChange={focusHeading}>
            <Route path="/" component={Pipelines} />
            <Route path="/sign-in" component={SignIn} />
            <Route path="/pipelines" component={Pipelines} />
            <Route path="/pipelines/:id" component={Pipeline} />
            <Route path="/runs" component={Runs} />
            <Route path="/runs/:id" component={Run} />
            <Route default component={NotFound} />
          </Router>
        </main>
      </ErrorBoundary>
    </LocationProvider>
  )
}

/** A new page is announced by its heading; the first one keeps the browser's own focus. */
let shown = false
function focusHeading() {
  if (shown) requestAnimationFrame(() => document.querySelector<HTMLElement>('h1')?.focus())
  shown = true
}

function Header() {
  const { path, route } = useLocation()
  const isSignIn = path === '/sign-in'
  useEffect(() => {
    if (signedIn.value === false && !isSignIn) route(`/sign-in?next=${encodeURIComponent(path)}`)
  }, [signedIn.value, isSignIn])
  if (isSignIn) return null
  const current = (prefix: string) => (path.startsWith(prefix) ? ('page' as const) : undefined)
  const signOut = async () => {
    await api.v1.sessions.current.$delete()
    signedIn.value = false
  }
  return (
    <header class={styles.header}>
      <a class={styles.brand} href="/">
        Weir
      </a>
      <nav aria-label="Main" class={styles.nav}>
        <a href="/pipelines" aria-current={path === '/' ? 'page' : current('/pipelines')}>
          Pipelines
        </a>
        <a href="/runs" aria-current={current('/runs')}>
          Runs
        </a>
      </nav>
      <button type="button" class={styles.quiet} onClick={() => void signOut()}>
        Sign out
      </button>
    </header>
  )
}
