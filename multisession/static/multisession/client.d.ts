/* Types of client.js. docs/howto/islands.md says how to find them. */
export interface EmailAddress extends Iterable<string> {
  emailAddress: string;
  toString(): string;
}
export interface User {
  id: string;
  fullName: string | null;
  imageUrl: string;
  initials: string;
  primaryEmailAddress: EmailAddress;
}
export interface Session {
  id: string;
  status: string;
  lastActiveAt: Date;
  expireAt: Date;
  createdAt: Date;
  user: User;
}
export interface Organization {
  id: string;
  name: string;
  slug: string;
  role: string;
  imageUrl: string;
}
export interface Client {
  organization: Organization | null;
  sessions: Session[];
  session: Session | null;
  urls: Record<"afterSwitch" | "afterSignOut" | "afterSignOutOne" | "signIn" | "button", string>;
}
type Hook = (session: Session | null) => unknown;
type SignOutOptions = { sessionId?: string; redirectUrl?: string };

export interface ClerkLike {
  /* undefined: not loaded, or changing. null: nobody. */
  client?: Client;
  session?: Session | null;
  user?: User | null;
  organization?: Organization | null;
  loaded: boolean;
  setActive(given: {
    session?: Session | string | null;
    organization?: Organization | string | null;
    beforeEmit?: Hook;
    redirectUrl?: string;
  }): Promise<void>;
  setSession(session: Session | string | null, beforeEmit?: Hook): Promise<void>;
  signOut(given?: Hook | SignOutOptions | string | Event, options?: SignOutOptions): Promise<void>;
  signOutOne(options?: SignOutOptions): Promise<void>;
  mountUserButton(place: Element): Promise<void>;
  addListener(then: (clerk: ClerkLike) => void): () => void;
}
export interface Store<T> {
  readonly value: T;
  get(): T;
  listen(then: (value: T) => void): () => void;
  subscribe(then: (value: T) => void): () => void;
}
export const $clerkStore: Store<ClerkLike>;
export const $sessionStore: Store<Session | null | undefined>;
export const $sessionListStore: Store<Session[] | undefined>;
export const $userStore: Store<User | null | undefined>;
export const $clientStore: Store<Client | undefined>;
export const $isLoadedStore: Store<boolean>;
export const $organizationStore: Store<Organization | null | undefined>;
export const Clerk: ClerkLike;
export const ready: Promise<void>;
