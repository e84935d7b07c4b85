import type { Transport } from '@connectrpc/connect'
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { useState, useSyncExternalStore } from 'react'
import { SignIn } from '@/features/session/sign-in'
import { createApi } from '@/lib/api'
import { ServerClock } from '@/lib/clock'
import { isUnauthenticated, words } from '@/lib/errors'
import { ServicesProvider } from '@/lib/services'
import type { Session } from '@/lib/session'
import { createAppRouter } from '@/routes/router'

type Props = {
  session: Session
  transport: (token: string, clock: ServerClock) => Transport
}

export function App({ session, transport }: Props) {
  const { token, notice } = useSyncExternalStore(session.subscribe, session.state)
  if (token === null) {
    const check = async (candidate: string) => {
      await createApi(transport(candidate, new ServerClock())).access.whoAmI({})
    }
    return <SignIn notice={notice} check={check} onSignIn={(accepted) => session.begin(accepted)} />
  }
  // Keyed by the token: nothing that one signed-in reader was shown outlives the session.
  return <SignedIn key={token} token={token} session={session} transport={transport} />
}

function SignedIn({ token, session, transport }: Props & { token: string }) {
  const [parts] = useState(() => {
    const clock = new ServerClock()
    const queries = new QueryClient({
      queryCache: new QueryCache({
        onError: (error) => {
          if (isUnauthenticated(error)) session.end(words(error))
        },
      }),
      defaultOptions: { queries: { retry: false, networkMode: 'always' } },
    })
    const router = createAppRouter({ signOut: () => session.end(null) })
    return { services: { api: createApi(transport(token, clock)), clock }, queries, router }
  })
  return (
    <QueryClientProvider client={parts.queries}>
      <ServicesProvider services={parts.services}>
        <RouterProvider router={parts.router} />
      </ServicesProvider>
    </QueryClientProvider>
  )
}
