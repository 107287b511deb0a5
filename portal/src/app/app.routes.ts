import { Routes } from '@angular/router';
import { signedIn } from './session/guard';
import { Home } from './shell/home';
import { mayLeave } from './shell/navigation';

export const routes: Routes = [
  {
    path: 'sign-in',
    title: 'Sign in',
    loadComponent: () => import('./pages/sign-in/sign-in').then((m) => m.SignIn),
  },
  { path: '', pathMatch: 'full', canActivate: [signedIn], component: Home, title: 'Namespaces' },
  {
    path: 'ns/:ns',
    canActivate: [signedIn],
    loadComponent: () => import('./shell/shell').then((m) => m.Shell),
    children: [
      {
        path: '',
        pathMatch: 'full',
        title: 'Applications',
        loadComponent: () => import('./pages/matrix/matrix').then((m) => m.Matrix),
      },
      {
        path: 'apps/:app',
        title: 'Application',
        loadComponent: () => import('./pages/application/application').then((m) => m.ApplicationPage),
      },
      {
        path: 'apps/:app/diff',
        title: 'Compare',
        loadComponent: () => import('./pages/compare/compare').then((m) => m.Compare),
      },
      {
        path: 'upload',
        title: 'Upload',
        loadComponent: () => import('./pages/upload/upload-page').then((m) => m.UploadPage),
      },
      {
        path: 'clusters',
        title: 'Clusters',
        loadComponent: () => import('./pages/clusters/clusters').then((m) => m.Clusters),
      },
      {
        path: 'reports',
        title: 'Reports',
        loadComponent: () => import('./pages/reports/reports').then((m) => m.Reports),
      },
      { path: 'audit', title: 'Audit', loadComponent: () => import('./pages/audit/audit').then((m) => m.Audit) },
      {
        path: 'charts/:app/:version',
        title: 'Chart',
        loadComponent: () => import('./pages/chart/chart').then((m) => m.ChartPage),
      },
      {
        path: 'overlays/:app/:environment',
        title: 'Manifests',
        loadComponent: () => import('./pages/manifests/manifests').then((m) => m.ManifestsPage),
      },
      {
        path: ':plural/:name',
        title: 'Object',
        canDeactivate: [mayLeave],
        loadComponent: () => import('./pages/object/object').then((m) => m.ObjectPage),
      },
      {
        path: '**',
        title: 'Not found',
        loadComponent: () => import('./pages/not-found/not-found').then((m) => m.NotFound),
      },
    ],
  },
  {
    path: '**',
    title: 'Not found',
    loadComponent: () => import('./pages/not-found/not-found').then((m) => m.NotFound),
  },
];
