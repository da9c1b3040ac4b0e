from own.models import Account, Customer, Person
from story.stories import story


def tell(model):
    name = model.__name__.lower()

    def signed_in(site):
        site.user("ada").delete()
        Customer.objects.create_user("ada", "ada@example.com", "correct horse battery staple")
        browser = site.browser()
        browser.sign_in("ada")
        return browser

    @story(name=f"deactivated_through_{name}")
    def deactivated(site):
        browser = signed_in(site)
        ada = model.objects.get(username="ada")
        ada.is_active = False
        ada.save()
        yield "nobody", browser.who(), None
        ada.is_active = True
        ada.save()
        yield "for good", browser.who(), None

    @story(name=f"deleted_through_{name}")
    def deleted(site):
        browser = signed_in(site)
        model.objects.get(username="ada").delete()
        yield "nobody", browser.who(), None
        page = browser.sign_in("grace")
        yield "signed in as another", (page.status, browser.who()), (200, "grace")


for model in (Account, Person, Customer):
    tell(model)
