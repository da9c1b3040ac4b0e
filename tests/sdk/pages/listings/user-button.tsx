import { $sessionListStore, $clerkStore } from '@clerk/astro/client'

export default function UserButton() {
  const sessions = useStore($sessionListStore)
  const { session, setActive, signOut } = useStore($clerkStore)

  if (sessions === undefined) {
    // Handle loading state
    return <div>Loading sessions...</div>
  }

  return (
    <div>
      <div>{session.user.primaryEmailAddress}</div>
      <div role="menu">
        {sessions.map((sess) => (
          <button role="menuitem" onClick={() => setActive({ session: sess.id })} key={sess.id}>
            {sess.user.primaryEmailAddress}
          </button>
        ))}
        <button role="menuitem" onClick={() => signOut()}>
          Sign out of all accounts
        </button>
      </div>
    </div>
  )
}
