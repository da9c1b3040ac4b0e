from story import person


class Person(person.Person):
    asynchronous = True
